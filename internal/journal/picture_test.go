package journal

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
)

// picture is what memory says of a journal, in words. What is with a dispatcher counts as waiting: after a restart
// it does.
func (b *book) picture() string {
	b.t.Helper()
	var out strings.Builder
	bound, err := b.Bound(b.t.Context(), bridge.MQTT)
	must(b.t, err)
	for _, l := range bound {
		fmt.Fprintf(&out, "bound %v %s\n", l.Ref, l.Binding)
	}
	a := b.Totals()
	fmt.Fprintf(&out, "%v %v %v %v %d keys\n", a.Counts, a.Pending, a.Open, a.Oldest, a.Keys)
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(&out, "dead %v\n", b.dead)
	var legs []*leg
	failed := map[uint64]string{}
	for _, m := range b.letters {
		for _, l := range m.legs {
			if l != nil && !l.finished() {
				legs = append(legs, l)
			}
		}
	}
	for _, g := range b.dedup.gens {
		for msg := range g.failed {
			failed[msg], _ = b.dedup.why(msg)
		}
	}
	slices.SortFunc(legs, func(a, b *leg) int { return cmp.Compare(a.seq, b.seq) })
	for _, l := range legs {
		m := l.letter
		fmt.Fprintf(&out, "%d: %v kind %d for %s in %q, held %v, note %+v; message of %s: open %d, dead %d, dropped %d, answers %d from %d, delayed %v\n",
			l.seq, l.ref(), l.kind, l.to, l.lane.name, l.stand == held, l.note, m.from,
			m.book.open, m.book.dead, m.book.dropped, m.book.answers, m.book.base, m.book.delayed)
	}
	fmt.Fprintf(&out, "failed %v\n", failed)
	for side := range b.unproven {
		for i := range b.unproven[side].len() {
			u := b.unproven[side].at(i)
			fmt.Fprintf(&out, "unproven %d: %v\n", u.n, u.ref)
		}
	}
	return out.String()
}

// checkLanes looks whether each delivery is where its state says, once.
func (b *book) checkLanes() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	refs, in := map[*lane]int{}, map[*leg]bool{}
	for _, n := range b.lanes {
		for i, l := range n.legs[n.head:] {
			if in[l] = true; l.stand != waiting || l.finished() || i > 0 && n.legs[n.head+i-1].seq >= l.seq {
				b.t.Fatalf("lane %q holds %v, state %d", n.name, l.ref(), l.stand)
			}
		}
	}
	for _, m := range b.letters {
		for _, l := range m.legs {
			if l == nil || l.finished() {
				continue
			}
			if refs[l.lane]++; (l.stand == waiting) != in[l] || l.stand == closing || l.stand == unborn || b.lanes[laneKey{l.lane.side, l.lane.name}] != l.lane {
				b.t.Fatalf("%v: state %d, in its lane %v", l.ref(), l.stand, in[l])
			}
		}
	}
	b.checkShares()
	for _, n := range b.lanes {
		if n.refs != refs[n] {
			b.t.Fatalf("lane %q counts %d legs, has %d", n.name, n.refs, refs[n])
		}
	}
}

// TestPictureIsTheFile throws events at a journal whose disk is full now and then, at any statement. Whatever
// fails and is undone, memory says what the file says.
func TestPictureIsTheFile(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			lacking := noRoom(t)
			f, name := newFaults(t)
			c := newClock()
			o := options(t.TempDir())
			o.driver, o.Sync, o.Clock, o.DedupMaxKeys = name, "os", c.Now, 64
			b := openBook(t, o)
			faulty := func(query string, ran bool) error { // by the writer only, or under its lock
				verb, _, _ := strings.Cut(query, " ")
				if ran || verb == "ROLLBACK" || verb == "SELECT" || verb == "PRAGMA" || rand.IntN(60) > 0 {
					return nil
				}
				return lacking
			}
			w := &thrower{book: b, rnd: rnd, c: c}
			for range 6 {
				f.set(faulty)
				for range 40 {
					w.throw()
				}
				f.set(nil)
				patient(t, "all is written", func() bool {
					return b.Append(t.Context(), []*bridge.Record{{Origin: bridge.XMPP, Verdict: bridge.VerdictIgnore, Reason: "x"}}) == nil
				})
				b.sync()
				b.sum()
				b.checkLanes()
				file := o
				file.driver, file.Dir = "", copyBook(t, o.Dir)
				other := openBook(t, file)
				if got, want := other.picture(), b.picture(); got != want {
					t.Fatalf("the file says\n%s\nmemory says\n%s", got, want)
				}
				other.checkLanes()
				other.shut()
			}
		})
	}
}

type thrower struct {
	*book
	rnd  *rand.Rand
	c    *clock
	n    int
	hand []bridge.Ref
	all  []bridge.Ref
}

func (w *thrower) throw() {
	w.t.Helper()
	w.n++
	w.c.add(time.Duration(w.rnd.IntN(20)) * time.Minute)
	ctx := w.t.Context()
	ok := func(err error) {
		if err != nil && !full(err) && !errors.Is(err, ErrUnknown) {
			w.t.Fatal(err)
		}
	}
	any := func(refs []bridge.Ref) bridge.Ref {
		if len(refs) == 0 {
			return bridge.Ref{Msg: 1 << 30}
		}
		return refs[w.rnd.IntN(len(refs))]
	}
	why := bridge.Refuse(fmt.Sprint("why", w.rnd.IntN(3)), "no")
	switch w.rnd.IntN(16) {
	case 0, 1, 2:
		var recs []*bridge.Record
		for range 1 + w.rnd.IntN(3) {
			r := direct(bridge.SideID(1+w.rnd.IntN(2)), fmt.Sprint(w.rnd.IntN(3)), "7", fmt.Sprint(w.rnd.IntN(w.n+1)))
			if w.rnd.IntN(3) == 0 {
				r = group("1", fmt.Sprint("g", w.rnd.IntN(w.n+1)), "2", "3", "4")
			}
			if r.Origin == bridge.XMPP && w.rnd.IntN(2) == 0 {
				r.Reply, r.Receipt = bridge.ParseReplyTo(fmt.Sprint(w.rnd.IntN(2), "\x00", w.n)), w.rnd.IntN(2) == 0
			}
			recs = append(recs, r)
		}
		ok(w.Append(ctx, recs))
	case 3, 4, 5:
		w.mu.Lock()
		l, _ := w.pick(w.counters[1+w.rnd.IntN(2)])
		if l != nil {
			w.hand, w.all = append(w.hand, l.ref()), append(w.all, l.ref())
		}
		w.mu.Unlock()
	case 6, 7:
		w.Bind(any(w.hand), fmt.Append(nil, w.n))
	case 8:
		w.Unbind(any(w.hand), any(w.hand))
	case 9:
		w.Settle(bridge.Result{Ref: any(w.hand), Unproven: w.rnd.IntN(2) == 0}, bridge.Result{Ref: any(w.hand), Err: why})
	case 10:
		w.Bounce(any(w.all), why)
	case 11:
		if w.rnd.IntN(2) == 0 {
			w.Release(any(w.hand))
		} else {
			w.Defer(any(w.hand), 0, "later")
		}
	case 12:
		ok(w.Delayed(ctx, 10*time.Minute))
	case 13:
		if w.rnd.IntN(3) > 0 {
			ok(w.Requeue(ctx, any(w.all)))
		} else {
			ok(w.Drop(ctx, any(w.all)))
		}
	case 14:
		w.Confirm(bridge.SideID(1+w.rnd.IntN(2)), w.LastUnproven()-min(w.LastUnproven(), uint64(w.rnd.IntN(3))))
	case 15:
		w.BounceUnconfirmed(bridge.SideID(1+w.rnd.IntN(2)), w.LastUnproven()-min(w.LastUnproven(), uint64(w.rnd.IntN(3))), w.rnd.IntN(100), why)
	}
}

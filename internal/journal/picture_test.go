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
func (b *testJournal) picture() string {
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
	var deliveries []*delivery
	failed := map[uint64]string{}
	for _, m := range b.entries {
		for _, d := range m.deliveries {
			if d != nil && !d.finished() {
				deliveries = append(deliveries, d)
			}
		}
	}
	for _, g := range b.dedup.generations {
		for msg := range g.failed {
			failed[msg], _ = b.dedup.failure(msg)
		}
	}
	slices.SortFunc(deliveries, func(a, b *delivery) int { return cmp.Compare(a.seq, b.seq) })
	for _, d := range deliveries {
		m := d.entry
		fmt.Fprintf(&out, "%d: %v kind %d for %s in %q, held %v, note %+v; message of %s: open %d, dead %d, dropped %d, answers %d from %d, delayed %v, expires %d\n",
			d.seq, d.ref(), d.kind, d.to, d.lane.name, d.state == inflight, d.note, m.from,
			m.durable.open, m.durable.dead, m.durable.dropped, m.durable.answers, m.durable.base, m.durable.delayed, m.expires)
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
func (b *testJournal) checkLanes() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	refs, in := map[*lane]int{}, map[*delivery]bool{}
	for _, n := range b.lanes {
		for i, d := range n.deliveries.items[n.deliveries.head:] {
			if in[d] = true; d.state != queued || d.finished() || i > 0 && n.deliveries.at(i-1).seq >= d.seq {
				b.t.Fatalf("lane %q holds %v, state %d", n.name, d.ref(), d.state)
			}
		}
	}
	for _, m := range b.entries {
		for _, d := range m.deliveries {
			if d == nil || d.finished() {
				continue
			}
			if refs[d.lane]++; (d.state == queued) != in[d] || d.state == settling || d.state == uncommitted || b.lanes[laneKey{d.lane.side, d.lane.name}] != d.lane {
				b.t.Fatalf("%v: state %d, in its lane %v", d.ref(), d.state, in[d])
			}
		}
	}
	b.checkShares()
	for _, n := range b.lanes {
		if n.refs != refs[n] {
			b.t.Fatalf("lane %q counts %d deliveries, has %d", n.name, n.refs, refs[n])
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
			b := openTest(t, o)
			faulty := func(query string, ran bool) error { // by the writer only, or under its lock
				verb, _, _ := strings.Cut(query, " ")
				if ran || verb == "ROLLBACK" || verb == "SELECT" || verb == "PRAGMA" || rand.IntN(60) > 0 {
					return nil
				}
				return lacking
			}
			w := &thrower{testJournal: b, rnd: rnd, c: c}
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
				file.driver, file.Dir = "", copyFolder(t, o.Dir)
				other := openTest(t, file)
				if got, want := other.picture(), b.picture(); got != want {
					t.Fatalf("the file says\n%s\nmemory says\n%s", got, want)
				}
				other.checkLanes()
				other.end()
			}
		})
	}
}

type thrower struct {
	*testJournal
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
		if err != nil && !diskFull(err) && !errors.Is(err, ErrUnknown) {
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
		d, _ := w.Journal.next(w.ready[1+w.rnd.IntN(2)])
		if d != nil {
			w.hand, w.all = append(w.hand, d.ref()), append(w.all, d.ref())
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

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
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/test/sqlfault"
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
	writeWords(&out, b.pic)
	return out.String()
}

// writeWords says in words what a picture is.
func writeWords(out *strings.Builder, p *picture.Picture) {
	fmt.Fprintf(out, "dead %v\n", p.Dead)
	var deliveries []*picture.Delivery
	failed := map[uint64]string{}
	for _, m := range p.Messages {
		for _, d := range m.Deliveries {
			if d != nil && !d.Finished() {
				deliveries = append(deliveries, d)
			}
		}
	}
	for _, g := range p.Keys.Generations {
		for msg := range g.Failed {
			failed[msg], _ = p.Keys.Failure(msg)
		}
	}
	slices.SortFunc(deliveries, func(a, b *picture.Delivery) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, d := range deliveries {
		m := d.Message
		fmt.Fprintf(out, "%d: %v kind %d for %s in %q, held %v, note %+v; message of %s: open %d, dead %d, dropped %d, answers %d from %d, delayed %v, expires %d\n",
			d.Seq, d.Ref(), d.Kind, d.To, d.Lane, d.Order > 0, d.Note, m.From,
			m.Open, m.Dead, m.Dropped, m.Answers, m.Base, m.Delayed, m.Expires)
	}
	fmt.Fprintf(out, "failed %v\n", failed)
	for side := range p.Unproven {
		for i := range p.Unproven[side].Len() {
			u := p.Unproven[side].At(i)
			fmt.Fprintf(out, "unproven %d: %v\n", u.N, u.Ref)
		}
	}
}

// checkLanes looks whether each delivery is where its state says, once.
func (b *testJournal) checkLanes() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	refs, in := map[*lane]int{}, map[*delivery]bool{}
	for _, n := range b.lanes {
		for i, d := range n.deliveries.All() {
			if in[d] = true; d.state != queued || d.Finished() || i > 0 && n.deliveries.At(i-1).Seq >= d.Seq {
				b.t.Fatalf("lane %q holds %v, state %d", n.name, d.Ref(), d.state)
			}
		}
	}
	for _, m := range b.pic.Messages {
		for _, p := range m.Deliveries {
			if p == nil || p.Finished() {
				continue
			}
			d := seatOf(p)
			if refs[d.lane]++; (d.state == queued) != in[d] || d.state == settling || !d.waiting || b.lanes[laneKey{d.lane.side, d.lane.name}] != d.lane {
				b.t.Fatalf("%v: state %d, in its lane %v", d.Ref(), d.state, in[d])
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
			lacking := sqlfault.NoRoom(t)
			f, name := sqlfault.New(t)
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
				f.Set(faulty)
				for range 40 {
					w.throw()
				}
				f.Set(nil)
				patient(t, "all is written", func() bool {
					return b.Append(t.Context(), []*bridge.Record{{Origin: bridge.XMPP, Verdict: bridge.VerdictIgnore, Reason: "x"}}) == nil
				})
				b.sync()
				b.sum()
				b.checkLanes()
				file := o
				file.driver, file.Dir = "", copyFolder(t, o.Dir)
				fits(t, file.Dir)
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
	rnd    *rand.Rand
	c      *clock
	n      int
	handed []bridge.Ref
	all    []bridge.Ref
}

func (w *thrower) throw() {
	w.t.Helper()
	w.n++
	w.c.add(time.Duration(w.rnd.IntN(20)) * time.Minute)
	ctx := w.t.Context()
	ok := func(err error) {
		if err != nil && !sqlite.DiskFull(err) && !errors.Is(err, ErrUnknown) && !errors.Is(err, errBehind) {
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
			w.handed, w.all = append(w.handed, d.Ref()), append(w.all, d.Ref())
		}
		w.mu.Unlock()
	case 6, 7:
		w.Bind(any(w.handed), fmt.Append(nil, w.n))
	case 8:
		w.Unbind(any(w.handed), any(w.handed))
	case 9:
		w.Settle(bridge.Result{Ref: any(w.handed), Unproven: w.rnd.IntN(2) == 0}, bridge.Result{Ref: any(w.handed), Err: why})
	case 10:
		w.Bounce(any(w.all), why)
	case 11:
		if w.rnd.IntN(2) == 0 {
			w.Release(any(w.handed))
		} else {
			w.Defer(any(w.handed), 0, "later")
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

package bridgetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"chatrelay/bridge"
)

// throw is one run of events in any order.
type throw struct {
	*kit
	rnd     *rand.Rand
	handed  map[bridge.Ref]bridge.Outbound // with a dispatcher, or bound
	bound   map[bridge.Ref]bool
	gone    []bridge.Ref // settled or buried
	seen    map[bridge.Ref]bool
	recs    []*bridge.Record
	pending int64 // deliveries that were taken and not closed
	waits   [bridge.XMPP + 1]int
}

// anyOrder throws events at the journal and checks after each few that the account adds up, that a closed delivery
// never comes again and that in the end nothing is left over.
func anyOrder(j *kit) {
	for seed := range uint64(5) {
		t := &throw{kit: j, rnd: rand.New(rand.NewPCG(seed, 7)), handed: map[bridge.Ref]bridge.Outbound{},
			bound: map[bridge.Ref]bool{}, seen: map[bridge.Ref]bool{}}
		for i := range 120 {
			t.event(seed, i)
			if i%10 == 0 {
				j.sync()
				j.sum()
				t.open()
			}
		}
		t.drain()
	}
}

func (t *throw) event(seed uint64, i int) {
	t.Helper()
	switch t.rnd.IntN(12) {
	case 0, 1, 2:
		t.offer(seed, i)
	case 3, 4, 5:
		t.dispatch()
	case 6:
		if ref, ok := t.any(); ok {
			t.bound[ref] = true
			t.Bind(ref, fmt.Append(nil, i))
		}
	case 7:
		if ref, ok := t.any(); ok && t.bound[ref] {
			t.put(ref)
			t.Unbind(ref)
		}
	case 8:
		if ref, ok := t.any(); ok && !t.bound[ref] {
			t.put(ref)
			if t.rnd.IntN(2) == 0 {
				t.Release(ref)
				return
			}
			t.Defer(ref, 0, "later")
		}
	case 9, 10:
		if ref, ok := t.any(); ok {
			t.end(ref)
		}
	case 11:
		if len(t.gone) > 0 {
			ref := t.gone[t.rnd.IntN(len(t.gone))]
			t.Bounce(ref, bridge.Refuse("back", "came back"))
			t.Settle(bridge.Result{Ref: ref})
		}
	}
}

func (t *throw) offer(seed uint64, i int) {
	t.Helper()
	origin := bridge.SideID(1 + t.rnd.IntN(2))
	r := direct(origin, fmt.Sprint("s", t.rnd.IntN(3)), fmt.Sprint("t", t.rnd.IntN(3)), fmt.Sprint(seed, ".", i))
	switch t.rnd.IntN(6) {
	case 0:
		r = circular("s1", fmt.Sprint(seed, "..", i), "room@x", "t1", "t2")
	case 1:
		if len(t.recs) > 0 {
			r = again(t.recs[t.rnd.IntN(len(t.recs))])
		}
	case 2:
		r.Verdict, r.Reason, r.Deliveries = bridge.VerdictIgnore, "chat_state", nil
	}
	if t.append(r); r.Outcome == bridge.OutcomeTaken {
		t.recs = append(t.recs, r)
		t.pending += int64(len(r.Deliveries))
		for _, l := range r.Deliveries {
			t.waits[l.Side]++
		}
	}
}

// dispatcher takes a message delivery where there is one.
func (t *throw) dispatch() {
	t.Helper()
	side := bridge.SideID(1 + t.rnd.IntN(2))
	if t.waits[side] == 0 {
		return
	}
	for {
		o := t.next(side)
		if !o.Kind.IsMessage() {
			t.Settle(bridge.Result{Ref: o.Ref})
			continue
		}
		if t.seen[o.Ref] {
			t.Fatalf("%v was closed, and comes again", o.Ref)
		}
		t.waits[side]--
		t.handed[o.Ref] = o
		return
	}
}

func (t *throw) any() (ref bridge.Ref, ok bool) {
	if len(t.handed) == 0 {
		return ref, false
	}
	refs := slices.SortedFunc(maps.Keys(t.handed), func(a, b bridge.Ref) int {
		return int(a.Msg) - int(b.Msg) + int(a.Delivery) - int(b.Delivery)
	})
	return refs[t.rnd.IntN(len(refs))], true
}

// put takes a delivery out of the hand, for the journal has it again.
func (t *throw) put(ref bridge.Ref) {
	side := bridge.MQTT
	if k := t.handed[ref].Kind; k == bridge.KindChat || k == bridge.KindRoom {
		side = bridge.XMPP
	}
	t.waits[side]++
	delete(t.handed, ref)
	delete(t.bound, ref)
}

func (t *throw) end(ref bridge.Ref) {
	var err error
	if t.rnd.IntN(4) == 0 {
		err = bridge.Refuse("no", "no")
	}
	t.Settle(bridge.Result{Ref: ref, Err: err})
	delete(t.handed, ref)
	delete(t.bound, ref)
	t.seen[ref] = true
	t.gone = append(t.gone, ref)
	t.pending--
}

func (t *throw) open() {
	t.Helper()
	a := t.Totals()
	if got := a.Open[bridge.MQTT] + a.Open[bridge.XMPP]; got != t.pending {
		t.Fatalf("%d message deliveries are open, want %d", got, t.pending)
	}
}

// drain ends what is left.
func (t *throw) drain() {
	t.Helper()
	for ref := range t.handed {
		t.end(ref)
	}
	for side := bridge.MQTT; side <= bridge.XMPP; side++ {
		for t.waits[side] > 0 {
			o := t.next(side)
			if t.seen[o.Ref] {
				t.Fatalf("%v was closed, and comes again", o.Ref)
			}
			if !o.Kind.IsMessage() {
				t.Settle(bridge.Result{Ref: o.Ref})
				continue
			}
			t.waits[side]--
			t.handed[o.Ref] = o
			t.end(o.Ref)
		}
	}
	t.sync()
	t.sum()
	t.open()
	if a := t.Totals(); a.Pending[bridge.MQTT]+a.Pending[bridge.XMPP] != 0 {
		t.Fatalf("pending %v after all was closed", a.Pending)
	}
}

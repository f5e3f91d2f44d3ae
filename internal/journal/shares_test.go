package journal

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"chatrelay/bridge"
)

// room is a message from XMPP to a room alone.
func room(from, to, text string) *bridge.Record {
	r := direct(bridge.XMPP, from, to, text)
	r.Deliveries[0].Side, r.Deliveries[0].Kind = bridge.XMPP, bridge.KindRoom
	return r
}

// 46 group messages of 180 KB to a room that keeps the relay out do not shut the others out: neither those who
// send, nor those who write to the room's members.
func TestClosedRoomHasAShare(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes, o.Sync = 8<<20, "os"
	b := openTest(t, o)
	text, wait := strings.Repeat("x", 180_000), 0
	for i := range 46 {
		r := room(fmt.Sprint("90", i%23), "team@rooms", fmt.Sprint(i, text)) // many senders: it is the room that has its share
		if b.append(r); r.Outcome == bridge.OutcomeFull {
			if wait++; r.Why == nil || r.Why.Reason != "busy" {
				t.Fatalf("turned away for %v", r.Why)
			}
		}
	}
	if a := b.Totals(); wait == 0 || a.Full || a.Bytes > o.MaxBytes*3/4 {
		t.Errorf("%d were told to wait; full: %v, %d bytes", wait, a.Full, a.Bytes)
	}
	b.want(direct(bridge.XMPP, "1001", "1003", "nothing to do with it"), bridge.OutcomeTaken)
	b.want(room("1001", "other@rooms", "another room"), bridge.OutcomeTaken)
	b.want(direct(bridge.MQTT, "1002", "1004", "nor this"), bridge.OutcomeTaken)
	b.want(room("1001", "team@rooms", "short"), bridge.OutcomeFull)
	b.sum()
}

// A sender has a share whatever the destinations, and one for each side he may come from.
func TestSenderHasAShare(t *testing.T) {
	o := options(t.TempDir())
	o.MaxPending = 400
	b := openTest(t, o)
	for i := range 200 {
		b.want(direct(bridge.MQTT, "1001", fmt.Sprint("2", i), "x"), bridge.OutcomeTaken) // below half there are no shares
	}
	b.want(direct(bridge.MQTT, "1002", "1003", "over the half"), bridge.OutcomeTaken)
	more := direct(bridge.MQTT, "1001", "1003", "too much")
	b.want(more, bridge.OutcomeRefused)
	if more.Why == nil || more.Why.Reason != "busy" {
		t.Errorf("refused for %v", more.Why)
	}
	b.wantNotice("1001", "{}|failed|"+busyText)
	b.want(direct(bridge.XMPP, "1001", "1003", "this one is proven"), bridge.OutcomeTaken)
	b.wantCount(refused, bridge.MQTT, "busy", 1)
	b.sum()
	b = b.reopen(o) // counted anew at a start
	b.want(more, bridge.OutcomeRefused)
	if o := b.notice(); o.To != "1001" || string(o.Body) != "{}|failed|"+busyText {
		t.Errorf("notice to %s: %s", o.To, o.Body)
	}
	for range 120 {
		b.settle(b.next(bridge.XMPP).Ref)
		b.notice()
	}
	b.want(more, bridge.OutcomeTaken) // it had left no key
	b.sum()
}

// A flood of refusals is not a flood of notices.
func TestBusyIsSaidTenTimesASecond(t *testing.T) {
	o := options("memory")
	o.MaxPending, o.Clock = 1000, newClock().Now
	b := openTest(t, o)
	for i := range 501 {
		b.append(direct(bridge.MQTT, "1001", fmt.Sprint("2", i), "x"))
	}
	for i := range 50 {
		b.want(direct(bridge.MQTT, "1001", "1003", fmt.Sprint(i)), bridge.OutcomeRefused)
	}
	if n := b.Totals().Deliveries; n != 511 {
		t.Errorf("%d wait, want the 501 messages and 10 notices", n)
	}
	b.wantCount(refused, bridge.MQTT, "busy", 50)
	b.sum()
}

// One member's inbox that is over its share does not shut the group.
func TestGroupWithABusyMember(t *testing.T) {
	o := options("memory")
	o.MaxPending = 400
	b := openTest(t, o)
	for i := range 201 {
		b.want(direct(bridge.XMPP, fmt.Sprint("1", i), "1003", "x"), bridge.OutcomeTaken)
	}
	b.want(direct(bridge.XMPP, "5001", "1003", "to the busy one"), bridge.OutcomeFull)
	b.want(group("5001", "to both", "1003", "1004"), bridge.OutcomeTaken)
	b.want(group("5001", "to the busy one", "1003"), bridge.OutcomeFull)
	b.sum()
}

// Copies that wait for their room's word count for the room: the inboxes stay open to others.
func TestUndecidedCopiesAreTheRooms(t *testing.T) {
	o := options("memory")
	o.MaxBytes = 8 << 20
	b := openTest(t, o)
	for i := range 46 {
		r := group("1004", fmt.Sprint(i, strings.Repeat("x", 180_000)), "1001", "1003")
		for n := range r.Deliveries {
			r.Deliveries[n].Note.Post = &bridge.Post{Room: "team@rooms"}
		}
		b.append(r)
	}
	b.want(direct(bridge.XMPP, "1001", "1003", "nothing to do with it"), bridge.OutcomeTaken)
	b.sum()
}

// 5,407 messages of 1 KB that can never be delivered leave the journal to the others: of the dead letters the
// oldest are put away, and counted.
func TestDeadLettersHaveAShare(t *testing.T) {
	o := options(t.TempDir())
	var heard choices
	o.MaxBytes, o.Sync, o.Chosen = 8<<20, "os", heard.hear
	b := openTest(t, o)
	text := strings.Repeat("x", 1000)
	const many = 5407
	for i := 0; i < many; {
		var recs []*bridge.Record
		for ; len(recs) < 100 && i < many; i++ {
			recs = append(recs, direct(bridge.MQTT, "9001", "A2000001", fmt.Sprint(i, text)))
		}
		b.append(recs...)
		var ends []bridge.Result
		for range recs {
			ends = append(ends, bridge.Result{Ref: b.next(bridge.XMPP).Ref, Err: bridge.Refuse("bad_address", "no JID")})
		}
		b.Settle(ends...)
		b.sync()
		for range recs {
			b.Settle(bridge.Result{Ref: b.next(bridge.MQTT).Ref}) // the notice
		}
	}
	patient(t, "dead letters are within their share", func() bool {
		_, bytes := b.DeadLetters()
		return bytes <= o.MaxBytes/4
	})
	n, bytes := b.DeadLetters()
	away := b.counter(deadPutAway, bridge.MQTT, "bad_address")
	if a := b.Totals(); a.Full || n+away != many || bytes < o.MaxBytes/5 {
		t.Errorf("full: %v; %d dead letters of %d bytes, %d put away", a.Full, n, bytes, away)
	}
	b.want(direct(bridge.XMPP, "1001", "1003", "nothing to do with it"), bridge.OutcomeTaken)
	b.wantCount(died, bridge.MQTT, "bad_address", many)
	patient(t, "all that were put away are named", func() bool { return int64(len(heard.all()[ChosePutAway])) == away })
	list, err := b.List(t.Context(), Filter{Dead: true, Limit: 1})
	if err != nil || len(list) != 1 || int64(list[0].Ref.Msg) <= away {
		t.Errorf("the oldest that is left is %+v, %v; %d were put away", list, err, away)
	}
	b.sum()
	b = b.reopen(o)
	if n2, bytes2 := b.DeadLetters(); n2 != n || bytes2 != bytes {
		t.Errorf("%d dead letters of %d bytes before, %d of %d after a restart", n, bytes, n2, bytes2)
	}
}

// An older journal, full of dead letters, opens its doors by itself.
func TestTooManyDeadLettersAtTheStart(t *testing.T) {
	o := options(t.TempDir())
	o.Sync = "os"
	b := openTest(t, o)
	text := strings.Repeat("x", 100_000)
	for i := range 60 {
		b.append(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i, text)))
		b.bury(b.next(bridge.MQTT).Ref, bridge.Refuse("no", "no"))
		b.settle(b.next(bridge.MQTT).Ref)
	}
	o.MaxBytes = 4 << 20
	b = b.reopen(o)
	patient(t, "room", func() bool {
		r := one(bridge.XMPP, 7)
		b.append(r)
		return r.Outcome == bridge.OutcomeTaken || r.Outcome == bridge.OutcomeDuplicate
	})
	if _, bytes := b.DeadLetters(); bytes > 1<<20 {
		t.Errorf("%d bytes of dead letters", bytes)
	}
}

// checkShares counts afresh what waits and who holds it. Under mu.
func (b *testJournal) checkShares() {
	b.t.Helper()
	n, fresh := 0, shares{b.shares.seed, map[uint64]holding{}}
	for _, m := range b.pic.Messages {
		has := m.Waiting
		m.Waiting = 0
		for _, p := range m.Deliveries {
			if p != nil && !p.Finished() {
				n++
				fresh.add(seatOf(p))
			}
		}
		if m.Waiting != has {
			b.t.Fatalf("message %d counts %d deliveries that wait, has %d", m.ID, has, m.Waiting)
		}
	}
	if n != b.waiting || !maps.Equal(fresh.holdings, b.shares.holdings) {
		b.t.Fatalf("%d wait, counted %d; shares %v, counted %v", n, b.waiting, fresh.holdings, b.shares.holdings)
	}
}

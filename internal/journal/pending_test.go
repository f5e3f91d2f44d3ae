package journal

import (
	"fmt"
	"testing"
	"time"

	"chatrelay/bridge"
)

// one is a message of somebody of his own to somebody of his own.
func one(origin bridge.SideID, i int) *bridge.Record {
	return direct(origin, fmt.Sprint("1", i), fmt.Sprint("2", i), "x")
}

// The journal is full when too much waits, however small it is, and takes again when a fifth has gone.
func TestTooManyPending(t *testing.T) {
	o := options(t.TempDir())
	o.MaxPending = 100
	b := openTest(t, o)
	for i := range 100 {
		b.want(one(bridge.MQTT, i), bridge.OutcomeTaken)
	}
	b.want(one(bridge.MQTT, 100), bridge.OutcomeFull)
	if a := b.Totals(); !a.Full || !a.Crowded || a.Deliveries != 100 || a.MaxDeliveries != 100 {
		t.Fatalf("%+v", a)
	}
	b = b.reopen(o)
	b.want(one(bridge.MQTT, 100), bridge.OutcomeFull)
	b.want(&bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictIgnore, Reason: "receipt"}, bridge.OutcomeIgnored)
	twin := one(bridge.MQTT, 7)
	twin.Redelivered = true
	b.want(twin, bridge.OutcomeDuplicate)
	for i := range 100 {
		b.settle(b.next(bridge.XMPP).Ref) // its notice takes its place
		if i == 50 {
			b.want(one(bridge.MQTT, 200), bridge.OutcomeFull)
		}
	}
	for i := range 100 {
		b.settle(b.next(bridge.MQTT).Ref)
		full := b.Totals().Full
		if left := b.Totals().Deliveries; full != (left >= 80) {
			t.Fatalf("after %d notices %d wait; full: %v", i+1, left, full)
		}
	}
	b.want(one(bridge.MQTT, 100), bridge.OutcomeTaken) // it had left no key
	b.sum()
}

// A message to a large group counts as what it is: many deliveries. One that is larger than the limit passes alone.
func TestPendingCountsDeliveries(t *testing.T) {
	o := options("memory")
	o.MaxPending = 50
	b := openTest(t, o)
	b.want(group("1001", "large", members(80)...), bridge.OutcomeTaken)
	b.want(one(bridge.MQTT, 1), bridge.OutcomeFull)
	for range 80 {
		b.settle(b.next(bridge.MQTT).Ref)
	}
	b.settle(b.next(bridge.MQTT).Ref) // its notice
	b.want(one(bridge.MQTT, 1), bridge.OutcomeTaken)
	b.want(group("1001", "50 more", members(50)...), bridge.OutcomeFull)
	b.want(one(bridge.MQTT, 2), bridge.OutcomeTaken) // that one did not shut it for the others
	b.sum()
}

// A journal that holds more than the limit, for it was lowered or an older version had none, starts and drains.
func TestMorePendingThanTheLimit(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	for i := range 300 {
		b.want(one(bridge.MQTT, i), bridge.OutcomeTaken)
	}
	o.MaxPending = 100
	b = b.reopen(o)
	b.want(one(bridge.MQTT, 300), bridge.OutcomeFull)
	for range 300 {
		b.settle(b.next(bridge.XMPP).Ref)
		b.settle(b.next(bridge.MQTT).Ref) // its notice
	}
	b.want(one(bridge.MQTT, 300), bridge.OutcomeTaken)
	b.wantCount(delivered, bridge.MQTT, "", 300)
	b.sum()
}

// Answers that nobody paid for end at the reserve, and "delayed" is made in portions, within it.
func TestAnswersCountAsPending(t *testing.T) {
	o := options("memory")
	o.MaxPending = 80
	b := openTest(t, o)
	for i := range 200 {
		r := &bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictReject, Reason: "retained", From: fmt.Sprint(i), Body: []byte("x")}
		r.Deliveries = []bridge.Delivery{bridge.NoticeDelivery(r.From, bridge.Note{Status: "failed", Text: "retained", At: 1})}
		b.want(r, bridge.OutcomeRefused)
	}
	if n := b.Totals().Deliveries; n != 90 {
		t.Errorf("%d answers wait, want 90: the limit and an eighth", n)
	}
	b.sum()

	o.MaxPending = 0
	b = openTest(t, o)
	const many = 3*delayedMost - 10
	for i := range many {
		b.append(one(bridge.MQTT, i))
	}
	for want := range []int{1, 2, 3} {
		b.delayAll()
		if n, most := int(b.Totals().Deliveries)-many, min((want+1)*delayedMost, many); n != most {
			t.Errorf("%d notices of delay, want %d", n, most)
		}
	}
	o.MaxPending = 1000
	b = openTest(t, o)
	for i := range 1000 {
		b.append(one(bridge.MQTT, i))
	}
	for range 4 {
		b.delayAll()
	}
	if n := b.Totals().Deliveries; n != 1125 {
		t.Errorf("%d wait, want 1125: the limit and an eighth", n)
	}
	for range 125 { // who was not told yet is told when there is room
		b.settle(b.next(bridge.MQTT).Ref)
	}
	b.delayAll()
	if n := b.Totals().Deliveries; n != 1125 {
		t.Errorf("%d wait, want 1125 again", n)
	}
}

func (b *testJournal) delayAll() {
	b.t.Helper()
	must(b.t, b.Delayed(b.t.Context(), -time.Minute))
}

// What is answered leaves memory with its answer.
func TestAnswersAreUnloaded(t *testing.T) {
	b := openTest(t, options("memory"))
	b.append(one(bridge.MQTT, 1))
	b.delayAll()
	b.settle(b.next(bridge.MQTT).Ref)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.pic.Messages {
		if len(m.Deliveries) != 1 {
			t.Errorf("the message keeps %d deliveries, want 1", len(m.Deliveries))
		}
	}
}

// Dead letters are not read at a start, but where a message has something open, too.
func TestStartLeavesDeadLetters(t *testing.T) {
	o := options(t.TempDir())
	o.Clock = newClock().Now
	b := openTest(t, o)
	why := bridge.Refuse("no_room", "there is no such room")
	for i := range 20 {
		b.append(one(bridge.XMPP, i))
		b.bury(b.next(bridge.MQTT).Ref, why)
		b.settle(b.next(bridge.MQTT).Ref) // the notice
	}
	b.append(group("1001", "mixed", "1002", "1003", "1004"))
	dead := b.next(bridge.MQTT)
	b.bury(dead.Ref, why)
	before := b.picture()
	b = b.reopen(o)
	if after := b.picture(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	b.mu.Lock()
	if len(b.pic.Messages) != 1 {
		t.Errorf("%d messages are in memory, want the one that is open", len(b.pic.Messages))
	}
	b.mu.Unlock()
	must(t, b.Requeue(t.Context(), dead.Ref))
	for range 3 {
		b.settle(b.next(bridge.MQTT).Ref)
	}
	b.wantNotice("1001", "mixed|sent|")
	b.sum()
}

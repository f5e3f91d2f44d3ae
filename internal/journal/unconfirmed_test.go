package journal

import (
	"fmt"
	"testing"
	"time"

	"chatrelay/bridge"
)

var noRight = bridge.Refuse("no_right", "it may not have arrived")

// deliver takes n messages in and closes them unproven; their notices are settled.
func (b *testJournal) deliver(from string, n int) {
	b.t.Helper()
	for i := range n {
		b.append(direct(bridge.XMPP, from, "7", fmt.Sprint(from, ".", i)))
	}
	for range 2 * n {
		o := b.next(bridge.MQTT)
		b.Settle(bridge.Result{Ref: o.Ref, Unproven: o.Kind.IsMessage()})
	}
	b.sync()
}

// TestUnconfirmedOutlivesACrash: what was settled since the last confirmation is bounced by the next process, all of
// it and nothing else, across many rows and a number in the midst of one.
func TestUnconfirmedOutlivesACrash(t *testing.T) {
	o := options(t.TempDir())
	o.Sync = "os"
	b := openTest(t, o)
	b.deliver("1001", 400)
	b.Confirm(bridge.MQTT, b.LastUnproven())
	b.deliver("1002", 150)
	b.Confirm(bridge.MQTT, b.LastUnproven()-100)
	b.deliver("1003", 200)
	b.sync()
	b = b.reopen(o)
	if got := b.LastUnproven(); got != 750 {
		t.Errorf("mark %d after the restart, want 750", got)
	}
	b.deliver("1004", 10)
	b.BounceUnconfirmed(bridge.MQTT, b.LastUnproven(), 0, noRight)
	b.sync()
	b.wantCount(bridge.Unconfirmed, bridge.MQTT, "", 310)
	b.wantCount(bounced, bridge.XMPP, "no_right", 310)
	b.wantCount(delivered, bridge.XMPP, "", 760)
	answered := map[string]int{}
	for range 310 {
		n := b.next(bridge.MQTT)
		answered[n.From+" "+n.Note.Status]++
		b.Settle(bridge.Result{Ref: n.Ref})
	}
	b.sync()
	if answered["1002 failed"] != 100 || answered["1003 failed"] != 200 || answered["1004 failed"] != 10 {
		t.Errorf("told %v", answered)
	}
	b = b.reopen(o)
	b.BounceUnconfirmed(bridge.MQTT, b.LastUnproven(), 0, noRight)
	b.sync()
	b.nothing(bridge.MQTT)
	b.wantCount(bridge.Unconfirmed, bridge.MQTT, "", 310)
}

// TestConfirmedLeavesNothing: no row of the list stays, and a number of the former process is good in the next.
func TestConfirmedLeavesNothing(t *testing.T) {
	o := options(t.TempDir())
	o.Sync = "os"
	b := openTest(t, o)
	b.deliver("1001", 300)
	unprovenNo := b.LastUnproven()
	b = b.reopen(o)
	b.Confirm(bridge.MQTT, unprovenNo)
	b.sync()
	rows, err := b.State(t.Context(), 0)
	must(t, err)
	if len(rows) != 0 {
		t.Errorf("%d rows are left", len(rows))
	}
	b.BounceUnconfirmed(bridge.MQTT, b.LastUnproven(), 0, noRight)
	b.sync()
	b.wantCount(bridge.Unconfirmed, bridge.MQTT, "", 0)
}

// TestUnconfirmedIsKept: a message whose delivery is not confirmed stays beyond the hour of finished ones.
func TestUnconfirmedIsKept(t *testing.T) {
	c := newClock()
	o := options("")
	o.Clock = c.Now
	b := openTest(t, o)
	b.deliver("1001", 2*purgeLeast)
	c.add(3 * time.Hour)
	b.deliver("1002", 1)
	b.BounceUnconfirmed(bridge.MQTT, b.LastUnproven(), 0, noRight)
	b.sync()
	b.wantCount(bounced, bridge.XMPP, "no_right", 2*purgeLeast+1)
	b.wantCount(bounced, 0, "no_right", 0)
}

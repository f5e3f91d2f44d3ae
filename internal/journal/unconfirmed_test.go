package journal

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	var heard choices
	o.Chosen = heard.hear
	b = b.reopen(o)
	if got := b.LastUnproven(); got != 750 {
		t.Errorf("mark %d after the restart, want 750", got)
	}
	b.deliver("1004", 10)
	b.BounceUnconfirmed(bridge.MQTT, b.LastUnproven(), 0, noRight)
	b.sync()
	b.wantCount(bridge.Unconfirmed, bridge.MQTT, "", 310)
	patient(t, "each is named", func() bool { return len(heard.all()[ChoseUnproved]) == 310 })
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

// TestChosen: of each delivery that was settled as unproven it is heard what became of it, also where that is decided in the commit
// that settles it, and where a short message counts as arrived.
func TestChosen(t *testing.T) {
	var heard choices
	o := options("")
	o.Chosen = heard.hear
	b := openTest(t, o)
	b.append(direct(bridge.XMPP, "1001", "7", "a"), direct(bridge.XMPP, "1001", "7", strings.Repeat("b", 1000)), direct(bridge.XMPP, "1001", "7", "c"))
	var refs []bridge.Ref
	for range 3 {
		refs = append(refs, b.next(bridge.MQTT).Ref)
		b.Settle(bridge.Result{Ref: refs[len(refs)-1], Unproven: true})
	}
	b.Confirm(bridge.MQTT, b.LastUnproven()-2)
	b.BounceUnconfirmed(bridge.MQTT, b.LastUnproven(), 500, noRight)
	b.sync()
	patient(t, "all is heard", func() bool { return len(heard.all()[ChoseProven])+len(heard.all()[ChoseUnproved]) == 3 })
	want := map[Choice][]bridge.Ref{ChoseProven: {refs[0], refs[2]}, ChoseUnproved: {refs[1]}}
	if diff := cmp.Diff(want, heard.all()); diff != "" {
		t.Error(diff)
	}
}

// choices are what was heard.
type choices struct {
	mu sync.Mutex // guards by
	by map[Choice][]bridge.Ref
}

func (c *choices) hear(what Choice, _ *bridge.Refusal, refs []bridge.Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[Choice][]bridge.Ref{}
	}
	c.by[what] = append(c.by[what], refs...)
}

func (c *choices) all() map[Choice][]bridge.Ref {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
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

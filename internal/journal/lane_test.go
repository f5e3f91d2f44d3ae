package journal

import (
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/bridge"
)

// A lane whose turn comes in the last moment of its pause does no harm, though its time may have come by the next look
// at the clock.
func TestTurnAtTheEndOfAPause(t *testing.T) {
	c := &steppable{clock: newClock()}
	o := options("memory")
	var ticks atomic.Int64 // pass with each look
	o.Clock, o.Elapsed = c.Now, func() time.Duration { return time.Duration(c.ran.Add(ticks.Load())) }
	b := openTest(t, o)
	b.append(direct(bridge.XMPP, "1001", "1002", "one"), direct(bridge.XMPP, "1001", "1002", "two"))
	first := b.next(bridge.MQTT) // its lane has its turn again
	b.Defer(first.Ref, 10*time.Millisecond, "busy")
	b.sync()
	c.pass(8 * time.Millisecond)
	b.mu.Lock()
	ticks.Store(int64(time.Millisecond))
	d, due := b.Journal.next(b.ready[bridge.MQTT])
	ticks.Store(0)
	b.mu.Unlock()
	if d != nil || due != 10 {
		t.Fatalf("got %v, due %d; want nothing before 10", d, due)
	}
	c.pass(time.Millisecond)
	for _, want := range []string{"one", "two"} {
		if o := b.next(bridge.MQTT); string(o.Body) != want {
			t.Errorf("got %s, want %s", o.Body, want)
		}
	}
}

// A lane that has gone while it was to pause does not take another one of its name away.
func TestPauseOutlivesItsLane(t *testing.T) {
	c := &steppable{clock: newClock()}
	o := options("memory")
	o.Clock, o.Elapsed, o.Notices = c.Now, c.elapsed, bridge.Notices{}
	b := openTest(t, o)
	b.append(direct(bridge.XMPP, "1001", "1002", "one"))
	first := b.next(bridge.MQTT).Ref
	b.Defer(first, time.Second, "busy")
	b.settle(first) // the wire finds that it has arrived
	b.append(direct(bridge.XMPP, "1001", "1002", "two"), direct(bridge.XMPP, "1001", "1002", "three"))
	c.pass(2 * time.Second)
	two := b.next(bridge.MQTT)
	b.append(direct(bridge.XMPP, "1001", "1002", "four"))
	b.Defer(two.Ref, time.Second, "busy")
	b.nothing(bridge.MQTT)
	c.pass(time.Second)
	for _, want := range []string{"two", "three", "four"} {
		if o := b.next(bridge.MQTT); string(o.Body) != want {
			t.Errorf("got %s, want %s", o.Body, want)
		}
	}
}

// TestReleaseAfter: a delivery that was not tried is first in its lane again, soon, and nothing is written of it.
func TestReleaseAfter(t *testing.T) {
	c := &steppable{clock: newClock()}
	o := options("memory")
	o.Clock, o.Elapsed = c.Now, c.elapsed
	b := openTest(t, o)
	b.append(direct(bridge.XMPP, "1001", "1002", "one"), direct(bridge.XMPP, "1001", "1002", "two"))
	first := b.next(bridge.MQTT).Ref
	b.ReleaseAfter(first, 50*time.Millisecond)
	c.pass(49 * time.Millisecond)
	b.nothing(bridge.MQTT)
	c.pass(time.Millisecond)
	if o := b.next(bridge.MQTT); o.Ref != first {
		t.Errorf("next is %v, want %v", o.Ref, first)
	}
	if n, since := b.Attempts(first); n != 0 || since != 0 {
		t.Errorf("%d attempts, %v", n, since)
	}
}

package journal

import (
	"testing"
	"time"

	"chatrelay/bridge"
)

// TestAge: how long ago a message was taken is known at each hand-out, after a restart and a requeue too; an answer has no age.
func TestAge(t *testing.T) {
	o := options(t.TempDir())
	c := &steppable{clock: newClock()}
	o.Clock, o.Elapsed = c.Now, c.elapsed
	b := openTest(t, o)
	b.append(direct(bridge.MQTT, "1001", "1002", "hello"))
	age := func(side bridge.SideID, want time.Duration) bridge.Ref {
		t.Helper()
		x := b.next(side)
		if x.Age != want {
			t.Errorf("age %v, want %v", x.Age, want)
		}
		return x.Ref
	}
	c.pass(3 * time.Second)
	b.Release(age(bridge.XMPP, 3*time.Second))
	b.sync()
	b.end()
	c.ran.Store(0) // the next process begins
	b = openTest(t, o)
	c.pass(2 * time.Second)
	ref := age(bridge.XMPP, 5*time.Second)
	b.Settle(bridge.Result{Ref: ref, Err: bridge.Refuse("gone", "no such user")})
	age(bridge.MQTT, 0)
	must(t, b.Requeue(t.Context(), ref))
	age(bridge.XMPP, 5*time.Second)
}

// TestAgeAfterKill: what the tables had not been told when the relay was killed has waited while it was down, too.
func TestAgeAfterKill(t *testing.T) {
	c := newClock()
	o := options(t.TempDir())
	o.Clock = c.Now
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	o.Dir = copyFolder(t, o.Dir)
	c.add(2 * time.Hour)
	k := openTest(t, o)
	if age := k.next(bridge.MQTT).Age; age != 2*time.Hour {
		t.Errorf("age %v after two hours", age)
	}
}

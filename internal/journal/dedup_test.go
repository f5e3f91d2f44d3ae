package journal

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/test/sqlfault"
)

func TestKeysLiveForTheWindow(t *testing.T) {
	c := newClock()
	o := options(t.TempDir())
	o.Clock, o.DedupWindow, o.Notices = c.Now, 8*time.Hour, bridge.Notices{}
	b := openTest(t, o)
	old := func() *bridge.Record {
		r := direct(bridge.XMPP, "1001", "1002", "old")
		r.Redelivered = true
		return r
	}
	b.want(old(), bridge.OutcomeTaken)
	b.settle(b.next(bridge.MQTT).Ref)
	for i := range 7 {
		c.add(time.Hour)
		b.want(direct(bridge.XMPP, "1001", "1003", fmt.Sprint(i)), bridge.OutcomeTaken)
		b.want(old(), bridge.OutcomeDuplicate)
		b.end()
		c.add(100 * time.Hour) // only running time counts
		b = openTest(t, o)
	}
	b.want(old(), bridge.OutcomeDuplicate)
	c.add(time.Hour + 8*time.Hour/perWindow)
	b.want(direct(bridge.XMPP, "1001", "1003", "begins a generation"), bridge.OutcomeTaken)
	c.add(8 * time.Hour / perWindow)
	b.want(direct(bridge.XMPP, "1001", "1003", "and another"), bridge.OutcomeTaken)
	b.want(old(), bridge.OutcomeTaken)
	b.sum()
}

func TestPendingKeysAreKept(t *testing.T) {
	c := newClock()
	o := options(t.TempDir())
	o.Clock, o.DedupWindow, o.Notices = c.Now, 4*time.Hour, bridge.Notices{Sent: true}
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "old"), bridge.OutcomeTaken)
	for i := range 30 {
		c.add(time.Hour)
		b.want(direct(bridge.XMPP, "1001", "1003", fmt.Sprint(i)), bridge.OutcomeTaken)
		b.want(direct(bridge.XMPP, "1001", "1002", "old"), bridge.OutcomeDuplicate)
		if i%10 == 9 {
			b = b.reopen(o)
		}
	}
	b.settle(b.next(bridge.MQTT).Ref)
	c.add(10 * time.Hour) // its notice is open
	b.want(direct(bridge.XMPP, "1001", "1003", "x"), bridge.OutcomeTaken)
	c.add(10 * time.Hour)
	b.want(direct(bridge.XMPP, "1001", "1003", "y"), bridge.OutcomeTaken)
	r := direct(bridge.XMPP, "1001", "1002", "old")
	r.Redelivered = true
	b.want(r, bridge.OutcomeDuplicate)
}

// A dead message's key and what is known of it go together, however they are carried on.
func TestFailureIsKnownAsLongAsTheKey(t *testing.T) {
	c := newClock()
	o := options(t.TempDir())
	o.Clock, o.DedupWindow = c.Now, 4*time.Hour
	b := openTest(t, o)
	bad := direct(bridge.XMPP, "1001", "1002", "bad")
	b.want(bad, bridge.OutcomeTaken)
	b.bury(b.next(bridge.MQTT).Ref, bridge.Refuse("no", "nobody"))
	notice := b.next(bridge.MQTT) // stays open: so does the key
	for i := range 20 {
		c.add(time.Hour)
		b.want(direct(bridge.MQTT, "1001", "1003", fmt.Sprint(i)), bridge.OutcomeTaken)
	}
	b.settle(notice.Ref)
	b.want(direct(bridge.XMPP, "1001", "1002", "bad"), bridge.OutcomeDuplicate)
	b.wantNotice("1001", "bad|failed|nobody")

	// A key that a repetition brings is younger than the failure.
	c.add(3 * time.Hour)
	more := direct(bridge.XMPP, "1001", "1002", "bad")
	late := key("another name for it")
	more.Keys = append(more.Keys, late)
	b.want(more, bridge.OutcomeDuplicate)
	b.wantNotice("1001", "bad|failed|nobody")
	c.add(3 * time.Hour)
	b.want(direct(bridge.MQTT, "1001", "1003", "x"), bridge.OutcomeTaken)
	more = direct(bridge.XMPP, "1001", "1002", "bad")
	more.Keys[0] = late
	b.want(more, bridge.OutcomeDuplicate)
	b.wantNotice("1001", "bad|failed|nobody")
}

func TestMaxKeys(t *testing.T) {
	o := options(t.TempDir())
	o.DedupMaxKeys, o.Notices, o.Sync = 80, bridge.Notices{}, "os"
	b := openTest(t, o)
	const n = 300
	for i := range n {
		b.want(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)), bridge.OutcomeTaken)
		b.settle(b.next(bridge.MQTT).Ref)
		if keys := b.Totals().Keys; keys > 80 {
			t.Fatalf("%d keys, want at most 80", keys)
		}
	}
	for range 2 {
		a := b.Totals()
		if got := a.Counts[bridge.Counter{Name: evicted}]; got+int64(a.Keys) != n {
			t.Errorf("%d keys are known and %d were evicted, of %d", a.Keys, got, n)
		}
		b = b.reopen(o)
	}
	last := direct(bridge.XMPP, "1001", "1002", fmt.Sprint(n-1))
	b.want(last, bridge.OutcomeDuplicate)
	b.want(direct(bridge.XMPP, "1001", "1002", "0"), bridge.OutcomeTaken)
}

// More messages are pending than keys may be kept: none is forgotten, and their keys are not written again
// and again.
func TestMorePendingThanKeys(t *testing.T) {
	f, name := sqlfault.New(t)
	o := options(t.TempDir())
	o.DedupMaxKeys, o.Notices, o.Sync, o.driver = 80, bridge.Notices{}, "os", name
	b := openTest(t, o)
	var roundRobin atomic.Int64
	f.Set(func(query string, ran bool) error {
		if ran && strings.HasPrefix(query, "INSERT INTO seen") {
			roundRobin.Add(1)
		}
		return nil
	})
	const n = 300
	for i := range n {
		b.want(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)), bridge.OutcomeTaken)
	}
	if rows := roundRobin.Load(); rows > n+2*n/10 {
		t.Errorf("%d rows of keys were written for %d messages", rows, n)
	}
	for i := range n {
		b.want(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)), bridge.OutcomeDuplicate)
	}
	if got := b.counter(evicted, 0, ""); got != 0 {
		t.Errorf("%d keys were evicted", got)
	}
	b = b.reopen(o)
	for i := range n {
		b.want(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)), bridge.OutcomeDuplicate)
		b.settle(b.next(bridge.MQTT).Ref)
	}
	for i := range 50 {
		b.want(direct(bridge.XMPP, "1001", "1003", fmt.Sprint(i)), bridge.OutcomeTaken)
		b.settle(b.next(bridge.MQTT).Ref)
	}
	if keys := b.Totals().Keys; keys > 80 {
		t.Errorf("%d keys are known after all were closed, want at most 80", keys)
	}
	b.sum()
}

package mqttside

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestJudged is what the wire itself refuses. Each is acknowledged, and what is behind it comes through.
func TestJudged(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.MaxMessage = 1000
	l := start(t, r.m, r.cfg)
	l.up(t)
	limit := l.cfg.longestPublish()
	tests := []struct {
		name, topic, body string
		retained          bool
		want              string // reason; empty: taken
		to                string
	}{
		{"an inbox", "/chat/1001", "x", false, "", "1001"},
		{"the longest", "/chat/1001", strings.Repeat("x", 1000), false, "", "1001"},
		{"too long", "/chat/1001", strings.Repeat("x", 1001), false, "too_large", "1001"},
		{"far too long", "/chat/1001", strings.Repeat("x", limit+5000), false, "too_large", "1001"},
		{"an empty level", "/chat/", "x", false, "bad_topic", ""},
		{"the relay's own name", "/chat/receiver", "x", false, "bad_topic", ""},
		{"no landline", "/chat/a b", "x", false, "bad_topic", ""},
		{"retained", "/chat/1001", "x", true, "retained", "1001"},
		{"empty", "/chat/1001", "", false, "", "1001"},
		{"a deeper level", "/chat/1001/x", "x", false, "never comes", ""},
		{"an inbox again", "/chat/1002", "y", false, "", "1002"},
	}
	n := 0
	for _, tc := range tests {
		finish(t, r.p.Publish(tc.topic, 2, tc.retained, tc.body))
		if tc.want == "never comes" {
			continue
		}
		n++
		r.m.Until(t, tc.name, takenN(n))
		in := r.m.Taken()[n-1]
		got := ""
		if in.Refused != nil {
			got = in.Refused.Reason
		}
		if got != tc.want || in.To != tc.to || !in.Redelivers || in.From != "" || tc.want == "" && string(in.Body) != tc.body {
			t.Errorf("%s: got %q to %q, redelivers %v", tc.name, got, in.To, in.Redelivers)
		}
	}
	if n := len(r.m.Taken()); n != len(tests)-1 {
		t.Errorf("%d offered, want %d", n, len(tests)-1)
	}
	l.eventually(t, "all is acknowledged: no packet id is left", func() bool { return r.m.Sum().Rows == 3 }) // session, filter, broker
}

// TestRedelivery cuts off our acknowledgement: the message comes again and is acknowledged, not offered.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	for _, qos := range []byte{1, 2} {
		kind := byte(proxy.PUBACK)
		if qos == 2 {
			kind = proxy.PUBREC
		}
		for _, killed := range []bool{false, true} {
			r := newRig(t, servers.MosquittoConfig{})
			l := start(t, r.m, r.cfg)
			l.up(t)
			r.trap.set(once(proxy.Up, kind, proxy.CutBefore, func() { go r.link.Refuse(killed) }))
			finish(t, r.p.Publish("/chat/1001", qos, false, "x"))
			if killed {
				l.eventually(t, "cut off", func() bool { ok, _ := l.Up(); return !ok })
				r.m.Crash()
				l.stop()
				r.link.Refuse(false)
				l = start(t, r.m, r.cfg)
			}
			l.eventually(t, "acknowledged", func() bool { return r.trap.count(proxy.Up, kind) >= 2 })
			r.p.says(t, "/chat/1001", "y")
			r.m.Until(t, "both", takenN(2))
			if got := bodies(r.m); len(got) != 2 || got[0] != "x" || got[1] != "y" {
				t.Errorf("QoS %d: offered %q", qos, got)
			}
			l.stop()
		}
	}
}

// TestFull renews the connection while the journal is full, but at most every renewEvery.
func TestFull(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.m.Judge(func(bridge.Inbound) error { return bridge.ErrFull })
	before := r.trap.logins()
	began := time.Now()
	for i := range 5 {
		r.p.says(t, "/chat/1001", body("y", i))
	}
	l.eventually(t, "the first renewal", func() bool { return r.trap.logins() == before+1 })
	r.add(0)
	r.m.Until(t, "mail goes out", bridgetest.AllClosed)
	l.eventually(t, "the second renewal", func() bool { return r.trap.logins() == before+2 })
	if d := time.Since(began); d < renewEvery {
		t.Errorf("renewed twice in %v", d)
	}
	r.m.Judge(nil)
	r.m.Until(t, "all taken", takenN(5))
	tally(t, "in", 1, 5, bodies(r.m))
	if n := r.trap.count(proxy.Up, proxy.DISCONNECT); n < 2 {
		t.Errorf("%d goodbyes: the will must not be published", n)
	}
}

// TestFullForLong: while the journal has no room nothing is asked for again: each renewal would bring what is in
// flight once more, for hours. What goes out goes on.
func TestFullForLong(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	var room atomic.Bool
	r.cfg.HasSpace = room.Load
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.m.Judge(func(bridge.Inbound) error { return bridge.ErrFull })
	before := r.trap.logins()
	for i := range 5 {
		r.p.says(t, "/chat/1001", body("y", i))
	}
	time.Sleep(2 * renewEvery) // what must not happen has no other sign
	r.add(0)
	r.m.Until(t, "mail goes out", bridgetest.AllClosed)
	if n := r.trap.logins(); n != before {
		t.Errorf("%d logins while the journal was full", n-before)
	}
	r.m.Judge(nil)
	room.Store(true)
	r.m.Until(t, "all taken", takenN(5))
	tally(t, "in", 1, 5, bodies(r.m))
}

// slowInlet lets nothing in until it is opened.
type slowInlet struct {
	bridge.Inlet
	open chan struct{}
}

func (s slowInlet) Offer(ctx context.Context, in bridge.Inbound) error {
	select {
	case <-s.open:
		return s.Inlet.Offer(ctx, in)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestBudget sends more than the side keeps in memory while the intake stands still: what is over stays with the
// broker, in order, and pings and messages go on.
func TestBudget(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 100000})
	d := r.m.SideJournal()
	in := slowInlet{d, make(chan struct{})}
	l := startWith(t, r.m, r.cfg, d, in)
	l.up(t)
	const n = 60
	pad := strings.Repeat(" ", 180<<10)
	for i := range n {
		r.p.says(t, "/chat/1001", body("y", i)+pad)
	}
	l.eventually(t, "over the budget", func() bool {
		k := l.current()
		if k == nil {
			return false
		}
		why, _ := k.dropped()
		return why != ""
	})
	r.add(0)
	r.m.Until(t, "mail goes out", bridgetest.AllClosed)
	l.inbox.mu.Lock()
	used := l.inbox.used
	l.inbox.mu.Unlock()
	if used > inboxBytes {
		t.Errorf("%d bytes are kept", used)
	}
	close(in.open)
	r.m.Until(t, "all taken", takenN(n))
	tally(t, "in", 1, n, bodies(r.m))
}

// TestUnacknowledged: nothing is acknowledged before the journal has it.
func TestUnacknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	l := start(t, r.m, r.cfg)
	l.up(t)
	var once sync.Once
	held := make(chan struct{})
	r.m.Judge(func(bridge.Inbound) error { once.Do(func() { close(held) }); return nil })
	r.m.Hold(true)
	r.p.says(t, "/chat/1001", "x")
	await(t, held)
	r.m.Until(t, "queued", func(s bridgetest.Sum) bool { return s.Queued > 0 })
	r.link.Cut() // and so it has to come again
	l.eventually(t, "a new connection", func() bool { return r.trap.count(proxy.Down, proxy.PUBLISH) >= 2 })
	if n := r.trap.count(proxy.Up, proxy.PUBREC); n != 0 {
		t.Errorf("%d PUBREC before the commit", n)
	}
	r.m.Hold(false)
	r.m.Until(t, "taken", takenN(1))
	l.eventually(t, "acknowledged", func() bool { return r.trap.count(proxy.Up, proxy.PUBCOMP) == 1 })
	if got := len(r.m.Taken()); got != 1 {
		t.Errorf("offered %d times", got)
	}
}

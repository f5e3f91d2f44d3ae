package mqttside

import (
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// pair is a relay with two brokers; the way to the first goes through a proxy.
type pair struct {
	*rights
	trap   *trap
	link   *proxy.Proxy
	second *servers.Mosquitto
	p2     *person // at the second
}

func newPair(t *testing.T) *pair {
	t.Helper()
	bc := servers.MosquittoConfig{ACL: aclAll}
	r := &pair{rights: newRights(t, bc), trap: &trap{}}
	bc.Users = map[string]string{"chatrelay": "relay", "person": "person"}
	r.second = servers.NewMosquitto(t, bc)
	r.link = proxy.NewMQTT(t, r.broker.Addr, r.trap.filter)
	r.cfg.URLs = []string{"tcp://" + r.link.Addr(), r.second.URL}
	r.p2 = newPerson(t, r.second.URL, "person", "/chat/2001")
	return r
}

// move cuts the first broker off and waits until the relay is up at the second.
func (r *pair) move(t *testing.T, l *run) {
	t.Helper()
	r.link.Refuse(true)
	r.link.Cut()
	l.eventually(t, "up at the second broker", func() bool { k := l.current(); return k != nil && k.url.Host == r.second.Addr })
}

// TestHeldElsewhere: what the first broker acknowledges while no probe was heard there is not settled by a probe at the
// second: it goes again, and arrives.
func TestHeldElsewhere(t *testing.T) {
	t.Parallel()
	r := newPair(t)
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.trap.set(once(proxy.Up, proxy.PUBREL, proxy.CutBefore, func() {
		if err := r.broker.SetACL(aclNoWrite); err != nil {
			t.Error(err)
		}
	}))
	r.m.Add(bridge.KindInbox, "1001", "2001", body("x", 0))
	l.eventually(t, "acknowledged by the first", func() bool { return r.trap.count(proxy.Down, proxy.PUBCOMP) == 1 })
	r.move(t, l)
	r.m.Until(t, "sent", bridgetest.AllClosed)
	tally(t, "out", 1, 1, r.p2.hears(t, 1))
	if n := r.m.Sum().Counts[bridge.MaybeDuplicate]; n < 1 {
		t.Errorf("maybe_duplicate %d", n)
	}
}

// TestUnprovenElsewhere: what the first broker acknowledged is proven by a probe there, and by none at the second.
func TestUnprovenElsewhere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		acl     string // of the first broker, when it is there again; empty: it never is
		bounced int
	}{{"it had taken the right away", aclNoWrite, 20}, {"all was well", aclAll, 0}, {"it never comes back", "", 20}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newPair(t)
			l := start(t, r.m, r.cfg)
			l.up(t)
			if tc.acl == aclNoWrite {
				if err := r.broker.SetACL(aclNoWrite); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 20 {
				r.m.Add(bridge.KindInbox, "1001", "2001", body("x", i))
			}
			settled := func(s bridgetest.Sum) bool { return bridgetest.AllClosed(s) && s.Unproven == 20 }
			r.m.Until(t, "settled at the first", settled)
			r.move(t, l)
			if tc.acl == "" {
				l.stop() // the journal remembers whose they are
				l = start(t, r.m, r.cfg)
				l.up(t)
			}
			if s := r.m.Sum(); !settled(s) {
				t.Errorf("%+v: a probe at the second broker has settled what the first acknowledged", s)
			}
			if tc.acl == "" {
				l.mu.Lock()
				for i := range l.elsewhere {
					l.elsewhere[i].left = time.Now().Add(-elsewhereLimit)
				}
				l.mu.Unlock()
			} else {
				r.link.Refuse(false)
			}
			r.m.Until(t, "it is known", func(s bridgetest.Sum) bool { return s.Unproven == 0 })
			if n := r.m.Sum().Counts[bridge.Unconfirmed]; n != tc.bounced {
				t.Errorf("%d bounced, want %d", n, tc.bounced)
			}
			if k := l.current(); k == nil || k.url.Host != r.second.Addr {
				t.Error("it is not at the second broker any more")
			}
			l.eventually(t, "nothing is remembered", func() bool { return r.m.Row(stateElsewhere) == nil })
		})
	}
}

package mqttside

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/internal/wait"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// trap is a proxy filter that a test can change at any time.
type trap struct {
	mu      sync.Mutex // guards all below
	rule    func(proxy.Packet) proxy.Verdict
	seen    []proxy.Packet
	changed wait.Broadcast
}

func (f *trap) filter(p proxy.Packet) proxy.Verdict {
	f.mu.Lock()
	f.seen = append(f.seen, p)
	rule := f.rule
	v := proxy.Pass
	if rule != nil {
		v = rule(p)
	}
	f.mu.Unlock()
	f.changed.Wake()
	return v
}

func (f *trap) set(rule func(proxy.Packet) proxy.Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = rule
}

func (f *trap) count(d proxy.Direction, kind byte) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.seen {
		if p.Dir == d && p.Type == kind {
			n++
		}
	}
	return n
}

// logins counts the logins of the relay itself, without those beside it.
func (f *trap) logins() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.seen {
		if isLogin(p) {
			n++
		}
	}
	return n
}

// isLogin tells a CONNECT of the relay itself from one beside it.
func isLogin(p proxy.Packet) bool {
	return p.Dir == proxy.Up && p.Type == proxy.CONNECT && bytes.Contains(p.Raw, []byte("\x00\x09chatrelay"))
}

// rig is a broker behind a proxy that sees packets, with a person beside it.
type rig struct {
	broker *servers.Mosquitto
	trap   *trap
	link   *proxy.Proxy
	m      *bridgetest.Memory
	cfg    Config
	p      *person
}

func newRig(t *testing.T, bc servers.MosquittoConfig) *rig {
	t.Helper()
	r := &rig{broker: servers.NewMosquitto(t, bc), trap: &trap{}, m: bridgetest.NewMemory(t)}
	r.link = proxy.NewMQTT(t, r.broker.Addr, r.trap.filter)
	r.cfg = testConfig(t, "tcp://"+r.link.Addr())
	r.p = newPerson(t, r.broker.URL, "person", "/chat/2001")
	return r
}

func (r *rig) add(n int) bridge.Ref { return r.m.Add(bridge.KindInbox, "1001", "2001", body("x", n)) }

// once is a rule for the first packet of a kind.
func once(d proxy.Direction, kind byte, v proxy.Verdict, then func()) func(proxy.Packet) proxy.Verdict {
	done := false
	return func(p proxy.Packet) proxy.Verdict {
		if done || p.Dir != d || p.Type != kind {
			return proxy.Pass
		}
		done = true
		if then != nil {
			then()
		}
		return v
	}
}

// ours is a rule for the connections of the relay itself, and none beside it.
func ours(rule func(proxy.Packet) proxy.Verdict) func(proxy.Packet) proxy.Verdict {
	own := map[int]bool{}
	return func(p proxy.Packet) proxy.Verdict {
		if isLogin(p) {
			own[p.Conn] = true
		}
		if !own[p.Conn] {
			return proxy.Pass
		}
		return rule(p)
	}
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(waitLimit):
		t.Fatal("never")
	}
}

// released leaves one delivery in its second phase: the broker has the PUBLISH, and its PUBREL was cut off.
func (r *rig) released(t *testing.T) *run {
	t.Helper()
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.trap.set(once(proxy.Up, proxy.PUBREL, proxy.CutBefore, func() { go r.link.Refuse(true) }))
	r.add(0)
	l.eventually(t, "PUBREL cut off", func() bool { ok, _ := l.Up(); return r.trap.count(proxy.Up, proxy.PUBREL) == 1 && !ok })
	r.link.Refuse(true)
	r.link.Cut()
	r.trap.set(nil)
	return l
}

// atLevels runs a test by MQTT 3.1.1 and by MQTT 5.
func atLevels(t *testing.T, test func(t *testing.T, version byte)) {
	t.Parallel()
	for _, version := range []byte{3, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

// forget makes the broker lose the relay's session.
func (r *rig) forget(t *testing.T) {
	t.Helper()
	wipe(t, r.broker.URL, r.cfg.ClientID)
}

// TestSessionLost: what was in flight goes out again, counted; and the side is not deaf.
func TestSessionLost(t *testing.T) { atLevels(t, sessionLost) }

func sessionLost(t *testing.T, version byte) {
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.Version = version
	l := r.released(t)
	r.forget(t)
	r.link.Refuse(false)
	r.m.Until(t, "closed", bridgetest.AllClosed)
	tally(t, "out", 1, 1, r.p.hears(t, 1))
	if c := r.m.Counted(bridge.MaybeDuplicate); c != 1 {
		t.Errorf("maybe_duplicate is %d, want 1", c)
	}
	l.up(t)
	r.p.says(t, "/chat/1001", body("y", 0))
	r.m.Until(t, "taken", takenN(1))
}

// TestDeafness: the session is lost, and the relay dies before it has subscribed in the new one.
func TestDeafness(t *testing.T) { atLevels(t, deafness) }

func deafness(t *testing.T, version byte) {
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.Version = version
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.link.Refuse(true)
	r.link.Cut()
	r.forget(t)
	cut := make(chan struct{})
	r.trap.set(once(proxy.Up, proxy.SUBSCRIBE, proxy.CutBefore, func() { close(cut) }))
	r.link.Refuse(false)
	await(t, cut)
	r.link.Refuse(true)
	r.link.Cut()
	r.m.Until(t, "the login is committed", func(s bridgetest.Sum) bool { return s.Queued == 0 })
	r.m.Crash()
	l.stop()
	r.link.Refuse(false)
	l = start(t, r.m, r.cfg)
	l.up(t)
	r.p.says(t, "/chat/1001", body("y", 0))
	r.m.Until(t, "taken: else the side is deaf", takenN(1))
}

// TestUncertainSession loses the session and then the CONNACK that tells of it: the next one tells of a session, but it
// is a new one, without a subscription and without the released packet.
func TestUncertainSession(t *testing.T) { atLevels(t, uncertainSession) }

func uncertainSession(t *testing.T, version byte) {
	for _, killed := range []bool{false, true} {
		t.Run(map[bool]string{false: "CONNACK cut off", true: "death before the commit"}[killed], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, servers.MosquittoConfig{})
			r.cfg.Version = version
			l := r.released(t)
			r.forget(t)
			if !killed {
				r.trap.set(ours(once(proxy.Down, proxy.CONNACK, proxy.CutBefore, nil)))
				r.link.Refuse(false)
			} else {
				refused := make(chan struct{})
				r.trap.set(ours(once(proxy.Down, proxy.CONNACK, proxy.Pass, func() { r.m.Hold(true); close(refused) })))
				r.link.Refuse(false)
				<-refused
				l.eventually(t, "CONNACK acted on", func() bool { return r.m.Sum().Queued > 0 })
				r.link.Refuse(true)
				r.m.Crash()
				r.link.Cut()
				l.stop()
				r.m.Hold(false)
				r.link.Refuse(false)
				l = start(t, r.m, r.cfg)
			}
			r.m.Until(t, "closed", bridgetest.AllClosed)
			tally(t, "out", 1, 1, r.p.hears(t, 1))
			if c := r.m.Counted(bridge.MaybeDuplicate); c != 1 {
				t.Errorf("maybe_duplicate is %d, want 1", c)
			}
			l.up(t)
			r.p.says(t, "/chat/1001", body("y", 0))
			r.m.Until(t, "taken: else the side is deaf", takenN(1))
		})
	}
}

// TestOtherBroker moves to a second broker and back: the first one's session is not the one that the journal knows.
func TestOtherBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	second := servers.NewMosquitto(t, servers.MosquittoConfig{MaxInflight: 4})
	trap2 := &trap{}
	link2 := proxy.NewMQTT(t, second.Addr, trap2.filter)
	r.cfg.URLs = append(r.cfg.URLs, "tcp://"+link2.Addr())
	l := r.released(t) // its packet id 1 waits for PUBREL at the first broker
	r.m.Until(t, "closed at the second broker", bridgetest.AllClosed)
	l.up(t)
	q := newPerson(t, second.URL, "q", "/chat/2001")
	q.says(t, "/chat/1001", body("y", 0))
	r.m.Until(t, "taken from the second", takenN(1))
	if n, _ := l.brokers.window(link2.Addr(), 10); n != 2 {
		t.Errorf("the window of the second is %d", n)
	}
	released := make(chan struct{})
	trap2.set(once(proxy.Up, proxy.PUBREL, proxy.CutBefore, func() { close(released) }))
	link2.Refuse(true) // new ones
	r.add(1)
	await(t, released)
	r.link.Refuse(false)
	l.eventually(t, "back at the first", func() bool { ok, _ := l.Up(); return ok && r.link.Open() > 0 })
	if n, _ := l.brokers.window(r.link.Addr(), 10); n != 10 {
		t.Errorf("the window of the first is %d", n)
	}
	// What the second broker had taken in part: the first one knows nothing of it.
	if got := r.p.hears(t, 1); got[0] != "/chat/2001 "+body("x", 1) {
		t.Errorf("heard %q", got)
	}
	r.p.says(t, "/chat/1001", body("y", 1))
	r.m.Until(t, "taken from the first", takenN(2))
	r.m.Until(t, "all closed", bridgetest.AllClosed)
}

// TestCutBeforeCommit cuts while a binding is not committed: the next connection must not send what the journal may
// yet take back.
func TestCutBeforeCommit(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"commits later", "never commits", "fails at once"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, servers.MosquittoConfig{})
			l := start(t, r.m, r.cfg)
			l.up(t)
			r.m.Until(t, "the login is committed", func(s bridgetest.Sum) bool { return s.Queued == 0 })
			r.m.Hold(true)
			r.add(0)
			r.m.Until(t, "a binding is queued", func(s bridgetest.Sum) bool { return s.Queued == 1 })
			connects := r.trap.logins()
			r.link.Cut()
			if fault == "fails at once" {
				r.m.Step(errors.New("disk full"))
				r.add(1)
				r.m.Hold(false)
			} else { // the barrier of the second connection gives up, and a third one comes
				l.eventually(t, "a third connection", func() bool { return r.trap.logins() >= connects+2 })
			}
			if fault == "never commits" {
				r.link.Refuse(true)
				r.m.Crash()
				r.link.Cut()
				l.stop()
				r.link.Refuse(false)
				start(t, r.m, r.cfg)
			}
			if fault != "fails at once" {
				r.add(1)
				r.m.Hold(false)
			}
			r.m.Until(t, "all closed", bridgetest.AllClosed)
			tally(t, "out", 1, 2, r.p.hears(t, 2))
		})
	}
}

// TestOrderAfterFailedCommit: one delivery's binding fails while the next one of its lane waits in Send.
func TestOrderAfterFailedCommit(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.Window = 1
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.m.Until(t, "the login is committed", func(s bridgetest.Sum) bool { return s.Queued == 0 })
	r.m.Hold(true)
	for i := range 3 {
		r.add(i)
	}
	r.m.Until(t, "one is bound, one waits in Send", func(s bridgetest.Sum) bool {
		return s.Queued == 1 && s.Deliveries[bridgetest.HandedOut] == 2
	})
	r.m.Step(errors.New("disk full"))
	r.m.Hold(false)
	r.m.Until(t, "all closed", bridgetest.AllClosed)
	tally(t, "out", 1, 3, r.p.hears(t, 3))
}

// TestResumeBeforeNew: nothing that takes a packet id goes out before all that was resumed is acknowledged.
func TestResumeBeforeNew(t *testing.T) { atLevels(t, resumeBeforeNew) }

func resumeBeforeNew(t *testing.T, version byte) {
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.Version = version
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.trap.set(func(p proxy.Packet) proxy.Verdict {
		if p.Dir == proxy.Up && p.Type == proxy.PUBREL {
			return proxy.Drop
		}
		return proxy.Pass
	})
	for i := range 5 {
		r.add(i)
	}
	r.m.Until(t, "bound", func(s bridgetest.Sum) bool { return s.Deliveries[bridgetest.Bound] == 5 })
	l.eventually(t, "all released", func() bool { return r.trap.count(proxy.Up, proxy.PUBREL) == 5 })
	r.link.Refuse(true)
	r.m.Crash()
	r.link.Cut()
	l.stop()
	for i := range 20 {
		r.add(5 + i)
	}
	type place struct { // what logs in beside the relay has ids of its own
		conn int
		id   uint16
	}
	open := map[place]bool{}
	var clash []string
	r.trap.set(func(p proxy.Packet) proxy.Verdict {
		switch {
		case p.Dir == proxy.Up && p.Type == proxy.PUBREL:
			open[place{p.Conn, p.ID}] = true
		case p.Dir == proxy.Down && p.Type == proxy.PUBCOMP:
			delete(open, place{p.Conn, p.ID})
		case p.Dir == proxy.Up && (p.Type == proxy.SUBSCRIBE || p.Type == proxy.PUBLISH && p.QoS() > 0) && open[place{p.Conn, p.ID}]:
			clash = append(clash, fmt.Sprintf("type %d takes the id %d of a PUBREL", p.Type, p.ID))
		}
		return proxy.Pass
	})
	r.link.Refuse(false)
	l = start(t, r.m, r.cfg)
	r.m.Until(t, "all closed", bridgetest.AllClosed)
	tally(t, "out", 1, 25, r.p.hears(t, 25))
	l.stop()
	r.trap.set(nil)
	if len(clash) > 0 {
		t.Error(clash)
	}
}

// TestBrokerRestart keeps sessions over a restart of the broker, under load.
func TestBrokerRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{Persistence: true})
	start(t, r.m, r.cfg).up(t)
	const n = 300
	for i := range n {
		r.add(i)
	}
	for round := range 3 {
		goal := (round + 1) * n / 4
		r.m.Until(t, "progress", func(s bridgetest.Sum) bool { return s.Deliveries[bridgetest.Settled] >= goal })
		if err := r.broker.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := r.broker.Start(); err != nil {
			t.Fatal(err)
		}
		if err := r.p.back(); err != nil {
			t.Fatal(err)
		}
	}
	r.m.Until(t, "all closed", bridgetest.AllClosed)
	lost := n
	for range r.p.hears(t, n) { // the person's own paho may double over a restart
		lost--
	}
	if lost > 0 {
		t.Errorf("%d lost", lost)
	}
	if c := r.m.Counted(bridge.MaybeDuplicate); c != 0 {
		t.Errorf("maybe_duplicate is %d: the sessions were kept", c)
	}
}

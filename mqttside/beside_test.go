package mqttside

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/mqttside/session"
	"chatrelay/test/servers"
)

// aclByID gives rights by client id, so that a second login has none, though it may subscribe.
const aclByID = "pattern readwrite %c/#\n\nuser person\ntopic readwrite #"

// TestDeafSecondLogin is a broker whose ACL goes by client id: the second login hears nothing, not even itself. That
// proves nothing: nothing is bounced or sent again, and the relay's connection hears itself.
func TestDeafSecondLogin(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: "user chatrelay\ntopic readwrite #\n\nuser person\ntopic readwrite #"})
	r.cfg.Prefix = "chatrelay/in" // %c/in
	p := newPerson(t, r.broker.URL, "person2", "chatrelay/in/2001")
	l := start(t, r.m, r.cfg)
	l.up(t)
	for i := range 20 {
		r.m.Add(bridge.KindInbox, "1001", "2001", body("x", i))
	}
	r.m.Until(t, "sent, and not confirmed", func(s bridgetest.Sum) bool { return bridgetest.AllClosed(s) && s.Unproven == 20 })
	if err := r.broker.SetACL(aclByID); err != nil {
		t.Fatal(err)
	}
	k := l.current()
	k.conn.Close(errors.New("cut by the test"))
	l.eventually(t, "not ready", func() bool { ok, _ := l.Up(); return !ok })
	for i := 20; i < 40; i++ {
		r.m.Add(bridge.KindInbox, "1001", "2001", body("x", i))
	}
	l.within(t, 25*time.Second, "up again", func() bool { now := l.current(); return now != nil && now != k })
	r.m.Until(t, "sent", bridgetest.AllClosed)
	tally(t, "out", 1, 40, p.hears(t, 40))
	if s := r.m.Sum(); s.Counts[bridge.Unconfirmed] > 0 || s.Counts[bridge.MaybeDuplicate] > 0 || s.Unproven > 20 {
		t.Errorf("%+v: want none bounced or sent again, and the first 20 confirmed", s)
	}
	if level := l.current().level; level != levelPlain {
		t.Errorf("level %#x", level)
	}
	p.says(t, "chatrelay/in/1001", body("y", 0))
	r.m.Until(t, "heard", func(s bridgetest.Sum) bool { return strings.Contains(strings.Join(bodies(r.m), ""), body("y", 0)) })
}

// TestListenerDies: second logins that end over every probe give no verdict. In the end the relay hears itself.
func TestListenerDies(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) { return polite(p), false })
	f.mu.Lock()
	f.severs = true
	f.mu.Unlock()
	m := bridgetest.NewMemory(t)
	l := start(t, m, testConfig(t, f.url()))
	l.within(t, 20*time.Second, "up", func() bool { ok, _ := l.Up(); return ok })
	m.Add(bridge.KindInbox, "1001", "2001", body("x", 0))
	m.Until(t, "sent", bridgetest.AllClosed)
}

// TestHopeless: a connection on which messages are settled, and no probe can be tried for half a minute, ends.
func TestHopeless(t *testing.T) {
	s, err := New(valid(), bridgetest.NewMemory(t).SideJournal())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		settled int
		since   time.Duration
		ends    bool
	}{{1, 0, false}, {1, verdictLimit - time.Second, false}, {0, time.Hour, false}, {1, verdictLimit, true}} {
		near, far := net.Pipe()
		k := &connection{s: s}
		go func() { // ends with far
			_, _ = packets.ReadPacket(far)
			_ = connack(0).Write(far)
		}()
		if k.conn, err = session.Login(t.Context(), near, session.Options{Level: levelPlain, ClientID: "c", Handler: k}); err != nil {
			t.Fatal(err)
		}
		if s.prover.untried = time.Now().Add(-tc.since); tc.since == 0 {
			s.prover.untried = time.Time{}
		}
		got := s.hopeless(k, tc.settled, errors.New("why"))
		if got != tc.ends || k.alive() == tc.ends || k.faulty() != tc.ends {
			t.Errorf("%d settled, %v: ends %v, want %v", tc.settled, tc.since, got, tc.ends)
		}
		if since := time.Since(s.prover.last); since < probeEvery-probeRetry {
			t.Errorf("the next in %v", probeEvery-since)
		}
		k.conn.Close(errStopped)
		_ = far.Close()
	}
}

// TestNextProbe: senders that ask for longer and longer messages do not keep the regular probe away.
func TestNextProbe(t *testing.T) {
	s, err := New(valid(), bridgetest.NewMemory(t).SideJournal())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	is := func(settled int, since time.Duration, want int, goes bool) {
		t.Helper()
		s.trust.since, s.prover.last = settled, now.Add(-since)
		if n, ok := s.nextProbe(now, "b"); n != want || ok != goes {
			t.Errorf("%d settled, %v: %d, %v, want %d, %v", settled, since, n, ok, want, goes)
		}
	}
	is(1, time.Second, 0, false)
	s.prover.lengths.heard("b", 1000, now)
	s.prover.lengths.fits("b", 5000, now)
	is(1, time.Second, 5000, true)
	is(0, 20*time.Second, 5000, true)
	is(1, probeEvery, 0, true)
	is(0, probeEvery, 0, true) // nobody would hear that nothing is brought any more
	is(probeMany, time.Second, 0, true)
}

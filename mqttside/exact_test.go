package mqttside

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestExactlyOnce sends both ways while connections are cut and the relay dies at random.
func TestExactlyOnce(t *testing.T) {
	tests := []struct {
		name    string
		broker  servers.MosquittoConfig
		version byte
		window  int
		n       int
		kill    bool // else only cuts
	}{
		{"cuts, broker at its defaults", servers.MosquittoConfig{}, 3, 10, 2001, false},
		{"deaths, broker at its defaults", servers.MosquittoConfig{}, 5, 0, 2001, true},
		{"cuts, raised limits", servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 100000}, 5, 0, 900, false},
		{"deaths, raised limits", servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 100000}, 3, 100, 900, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { exactlyOnce(t, tc.broker, tc.version, tc.window, tc.kill, tc.n, 24) })
	}
}

func exactlyOnce(t *testing.T, bc servers.MosquittoConfig, version byte, window int, kill bool, n, faults int) {
	broker := servers.NewMosquitto(t, bc)
	link := proxy.New(t, broker.Addr)
	m := bridgetest.NewMemory(t)
	cfg := testConfig(t, "tcp://"+link.Addr())
	cfg.Version, cfg.Window = version, window
	l := start(t, m, cfg)
	l.up(t)
	reader := newPerson(t, broker.URL, "reader", "/chat/2000", "/chat/2001", "/chat/2002")
	const senders = 3
	for i := range n / senders {
		for s := range senders {
			m.Add(bridge.KindInbox, fmt.Sprint(s), fmt.Sprint(2000+s), body(fmt.Sprint("x", s), i))
		}
	}
	var wg sync.WaitGroup
	// Mosquitto 2.0.11 counts unfinished QoS 2 exchanges against its queue of 1000, and every cut leaves some.
	room := make(chan struct{}, 100)
	for s := range senders {
		p := newPerson(t, broker.URL, fmt.Sprint("sender", s))
		wg.Go(func() {
			for i := range n / senders {
				room <- struct{}{}
				p.says(t, fmt.Sprint("/chat/", 1000+s), body(fmt.Sprint("m", s), i))
			}
		})
	}
	wg.Go(func() {
		for done := range n / senders * senders {
			m.Until(t, fmt.Sprint("message ", done), takenN(done+1))
			<-room
		}
	})
	sum := func(s bridgetest.Sum) int { return s.Taken + s.Deliveries[bridgetest.Settled] }
	for i := range faults {
		goal := (2*n*i + rand.N(2*n)) / faults
		m.Until(t, fmt.Sprint("progress ", i), func(s bridgetest.Sum) bool { return sum(s) >= goal })
		// A fault between CONNECT and CONNACK may cost a duplicate, which is counted: TestUncertainSession.
		l.eventually(t, "no login under way", func() bool { return m.Row(stateLogin) == nil && !l.doubts() })
		if !kill {
			link.Cut()
			continue
		}
		link.Refuse(true)
		m.Crash()
		link.Cut()
		l.stop()
		link.Refuse(false)
		l = start(t, m, cfg)
	}
	healed := time.Now()
	wg.Wait()
	m.Until(t, "all closed", bridgetest.AllClosed)
	reader.hears(t, n/senders*senders)
	t.Logf("all done %v after the last fault", time.Since(healed).Round(time.Millisecond))
	tally(t, "out", senders, n/senders, reader.all())
	tally(t, "in", senders, n/senders, bodies(m))
	if c := m.Counted(bridge.MaybeDuplicate); c != 0 {
		t.Errorf("maybe_duplicate %d: the session was never lost", c)
	}
}

// doubts tells whether the side is not sure of the broker's session.
func (s *Side) doubts() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uncertain
}

// current is the link that is up; nil: none.
func (s *Side) current() *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

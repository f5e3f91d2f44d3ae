package mqttside

import (
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestLimitAtEveryLogin: the in-flight limit is asked before each login. One that is not known means a window of 10,
// whatever it was before.
func TestLimitAtEveryLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{MaxInflight: 40})
	r.cfg.Window = 100
	l := start(t, r.m, r.cfg)
	l.up(t)
	host := r.link.Addr()
	want := func(n int) {
		t.Helper()
		if got, _ := l.brokers.window(host, r.cfg.Window); got != n {
			t.Errorf("the window is %d, want %d", got, n)
		}
	}
	want(20)
	again := func() {
		t.Helper()
		k := l.current()
		r.link.Cut()
		l.eventually(t, "up again", func() bool { now := l.current(); return now != nil && now != k })
	}
	asked := map[int]bool{}
	r.trap.set(func(p proxy.Packet) proxy.Verdict {
		if p.Dir == proxy.Up && p.Type == proxy.CONNECT && p.Raw[8] == 5 {
			asked[p.Conn] = true
		}
		if p.Dir == proxy.Down && p.Type == proxy.CONNACK && asked[p.Conn] {
			return proxy.CutBefore
		}
		return proxy.Pass
	})
	again()
	want(10)
	r.trap.set(nil)
	again()
	want(20)
}

// TestUnknownLimit: a broker that does not speak MQTT 5 gets no more than 10 in flight.
func TestUnknownLimit(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) {
		if m, ok := p.(*packets.PublishPacket); ok && m.Qos == 2 {
			return nil, false // never acknowledged
		}
		return polite(p), false
	})
	m := bridgetest.NewMemory(t)
	cfg := testConfig(t, f.url())
	cfg.Window = 1000
	start(t, m, cfg).up(t)
	for i := range 50 {
		m.Add(bridge.KindInbox, "1001", "2001", body("x", i))
	}
	m.Until(t, "the window is full", func(s bridgetest.Sum) bool {
		return s.Deliveries[bridgetest.Bound] == defaultWindow && s.Deliveries[bridgetest.HandedOut] == 1
	})
}

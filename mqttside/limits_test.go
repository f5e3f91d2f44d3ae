package mqttside

import (
	"errors"
	"fmt"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// TestLimitAtEveryLogin: the broker's in-flight limit is known from each login by MQTT 5, and is asked for before each by
// 3.1.1.
func TestLimitAtEveryLogin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		version       byte
		limit, config int
		want          int
	}{
		{"half of it", 5, 40, 100, 20},
		{"by itself", 5, 40, 0, 20},
		{"by itself, wide", 5, 2000, 0, autoWindow},
		{"as configured", 5, 2000, 7, 7},
		{"by 3.1.1 as well", 3, 40, 100, 20},
		{"by 3.1.1, by itself", 3, 40, 0, 20},
		{"by 3.1.1, below the window of an unknown one", 3, 5, 0, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, servers.MosquittoConfig{MaxInflight: tc.limit})
			r.cfg.Version, r.cfg.Window = tc.version, tc.config
			l := start(t, r.m, r.cfg)
			l.up(t)
			if got := l.Window(); got != tc.want {
				t.Errorf("the window is %d, want %d", got, tc.want)
			}
		})
	}
}

// TestLimitOfToday: a broker that allows less since its restart is asked again by the process that knew more.
func TestLimitOfToday(t *testing.T) {
	t.Parallel()
	for _, version := range []byte{5, 3} {
		t.Run(fmt.Sprint("MQTT ", version), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, servers.MosquittoConfig{MaxInflight: 40})
			r.cfg.Version = version
			l := start(t, r.m, r.cfg)
			l.up(t)
			if got := l.Window(); got != 20 {
				t.Errorf("the window is %d, want 20", got)
			}
			if err := errors.Join(r.broker.SetOption("max_inflight_messages", 4), r.broker.Stop(), r.broker.Start()); err != nil {
				t.Fatal(err)
			}
			l.eventually(t, "a window of 2", func() bool { ok, _ := l.Up(); return ok && l.Window() == 2 })
		})
	}
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

package mqttside

import (
	"fmt"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestCutAtAnyPacket cuts once before and once after each kind of packet, with messages going both ways.
func TestCutAtAnyPacket(t *testing.T) {
	for _, version := range []byte{3, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) { cutAtAnyPacket(t, version) })
	}
}

func cutAtAnyPacket(t *testing.T, version byte) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	r.cfg.Version = version
	points := []struct {
		dir  proxy.Direction
		kind byte
		name string
	}{
		{proxy.Up, proxy.SUBSCRIBE, "SUBSCRIBE"}, {proxy.Down, proxy.SUBACK, "SUBACK"},
		{proxy.Up, proxy.PUBLISH, "our PUBLISH"}, {proxy.Down, proxy.PUBREC, "the broker's PUBREC"},
		{proxy.Up, proxy.PUBREL, "our PUBREL"}, {proxy.Down, proxy.PUBCOMP, "the broker's PUBCOMP"},
		{proxy.Down, proxy.PUBLISH, "the broker's PUBLISH"}, {proxy.Up, proxy.PUBREC, "our PUBREC"},
		{proxy.Down, proxy.PUBREL, "the broker's PUBREL"}, {proxy.Up, proxy.PUBCOMP, "our PUBCOMP"},
	}
	n := 0
	for _, at := range points {
		for _, v := range []proxy.Verdict{proxy.CutBefore, proxy.CutAfter} {
			t.Run(fmt.Sprintf("%s %d", at.name, v), func(t *testing.T) {
				cfg := r.cfg
				cfg.StatusTopic = ""
				cfg.Log = cfg.Log.Output(&testLog{tb: t})
				if at.kind == proxy.SUBSCRIBE || at.kind == proxy.SUBACK { // as on a first connection
					d := r.m.SideJournal()
					if err := d.Wait(t.Context(), d.SetState(bridge.MQTT, bridge.StateRow{Key: stateFilter})); err != nil {
						t.Fatal(err)
					}
				}
				fired := make(chan struct{})
				r.trap.set(once(at.dir, at.kind, v, func() { close(fired) }))
				l := start(t, r.m, cfg)
				for range 3 {
					n++
					r.add(n - 1)
				}
				if at.kind == proxy.SUBSCRIBE || at.kind == proxy.SUBACK {
					await(t, fired)
					l.up(t)
				}
				for i := range 3 {
					r.p.says(t, "/chat/1001", body("y", n-3+i))
				}
				await(t, fired)
				r.m.Until(t, "all closed", bridgetest.AllClosed)
				r.m.Until(t, "all taken", takenN(n))
				l.stop()
			})
		}
	}
	tally(t, "out", 1, n, r.p.hears(t, n))
	tally(t, "in", 1, n, bodies(r.m))
	if c := r.m.Counted(bridge.MaybeDuplicate); c != 0 {
		t.Errorf("maybe_duplicate is %d", c)
	}
}

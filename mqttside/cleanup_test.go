package mqttside

import (
	"fmt"
	"testing"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestLateConnack: a side login whose CONNACK does not come in time leaves no session for ever.
func TestLateConnack(t *testing.T) {
	t.Parallel()
	for version, tc := range map[byte]struct {
		level byte
		stay  string // sessions: the relay, its listener by 3.1.1, the person and the watcher
	}{3: {4, "4"}, 5: {5, "3"}} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, servers.MosquittoConfig{Extra: "sys_interval 1"})
			r.cfg.Version = version
			cut := false            // the first answer was lost
			asked := map[int]bool{} // connections that wait for it
			r.trap.set(func(p proxy.Packet) proxy.Verdict {
				if p.Dir == proxy.Up && p.Type == proxy.CONNECT && !cut && p.Raw[8] == tc.level && p.Raw[9]&2 == 0 { // not clean
					cut, asked[p.Conn] = true, true
				}
				if p.Dir == proxy.Down && p.Type == proxy.CONNACK && asked[p.Conn] {
					return proxy.CutBefore
				}
				return proxy.Pass
			})
			l := start(t, bridgetest.NewMemory(t), r.cfg)
			l.up(t)
			r.trap.set(nil)
			watch := newPerson(t, r.broker.URL, "watch", "$SYS/broker/clients/total")
			before := l.current()
			r.link.Cut() // the next login removes what is left
			l.eventually(t, "up again", func() bool { k := l.current(); return k != nil && k != before })
			l.eventually(t, "nothing else is left", func() bool {
				got := watch.all()
				return len(got) > 0 && got[len(got)-1] == "$SYS/broker/clients/total "+tc.stay
			})
			if !cut {
				t.Error("no side login was cut")
			}
		})
	}
}

package mqttside

import (
	"testing"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestLateConnack: a side login whose CONNACK does not come in time, by MQTT 5 or 3.1.1, leaves no session for ever.
func TestLateConnack(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{Extra: "sys_interval 1"})
	const five, three = 5, 4
	cut := map[byte]bool{}  // levels whose first answer was lost
	asked := map[int]byte{} // connections that wait for it
	r.trap.set(func(p proxy.Packet) proxy.Verdict {
		if level := byte(0); p.Dir == proxy.Up && p.Type == proxy.CONNECT {
			if level = p.Raw[8]; !cut[level] && (level == five || level == three && p.Raw[9]&2 == 0) { // not clean
				cut[level], asked[p.Conn] = true, level
			}
		}
		if p.Dir == proxy.Down && p.Type == proxy.CONNACK && asked[p.Conn] != 0 {
			return proxy.CutBefore
		}
		return proxy.Pass
	})
	l := start(t, bridgetest.NewMemory(t), r.cfg)
	l.up(t)
	r.trap.set(nil)
	watch := newPerson(t, r.broker.URL, "watch", "$SYS/broker/clients/total")
	total := func(want string) func() bool {
		return func() bool {
			got := watch.all()
			return len(got) > 0 && got[len(got)-1] == "$SYS/broker/clients/total "+want
		}
	}
	if !cut[five] || !cut[three] {
		t.Fatalf("cut %v", cut)
	}
	before := l.current()
	r.link.Cut() // the next login removes what is left
	l.eventually(t, "up again", func() bool { k := l.current(); return k != nil && k != before })
	l.eventually(t, "the relay, its listener, the person and the watcher alone", total("4"))
}

package mqttside

import (
	"bytes"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestPoison: the broker closes the connection over a message, whatever it does not like in it. That one alone is dead.
func TestPoison(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	r.trap.set(func(p proxy.Packet) proxy.Verdict {
		if p.Dir == proxy.Up && p.Type == proxy.PUBLISH && bytes.Contains(p.Payload, []byte("xxxxx")) {
			return proxy.CutBefore
		}
		return proxy.Pass
	})
	var good []bridge.Ref
	for n := range 3 {
		good = append(good, r.add(n))
	}
	poison := r.m.Add(bridge.Inbox, "1001", "2001", body(strings.Repeat("x", 5000), 3))
	for n := 4; n < 7; n++ {
		good = append(good, r.add(n))
	}
	start(t, r.m, r.cfg)
	r.m.Until(t, "closed", bridgetest.AllClosed)
	if state, err := r.m.Leg(poison); state != bridgetest.Closed || err == nil || !strings.Contains(err.Error(), "poison") {
		t.Errorf("the poison is %v (%v), want it closed as poison", state, err)
	}
	for _, ref := range good {
		if state, err := r.m.Leg(ref); state != bridgetest.Closed || err != nil {
			t.Errorf("%v is %v (%v)", ref, state, err)
		}
	}
	got := r.p.hears(t, len(good))
	for i, n := range []int{0, 1, 2, 4, 5, 6} {
		if !strings.Contains(got[i], body("x", n)) {
			t.Errorf("heard %d: %s", i, got[i])
		}
	}
}

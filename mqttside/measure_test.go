package mqttside

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestSlowLine: on a line on which the longest message takes longer than any of our timeouts no limit is found that is
// none, and such a message arrives, over the first connection.
func TestSlowLine(t *testing.T) {
	t.Parallel()
	r := newRights(t, servers.MosquittoConfig{ACL: aclAll})
	link := proxy.New(t, r.broker.Addr)
	link.Throttle(10_000)
	r.cfg.URLs, r.cfg.MaxMessage = []string{"tcp://" + link.Addr()}, 110_000
	l := start(t, r.m, r.cfg)
	limit := time.Now().Add(90 * time.Second)
	for ok := false; !ok; ok, _ = l.Up() {
		if time.Now().After(limit) {
			t.Fatal("never up")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if r.log.has("looking for its limit") {
		t.Error("a limit was looked for")
	}
	if n := l.prover.lengths.known(link.Addr(), time.Now()); n != l.cfg.longest() {
		t.Errorf("%d is known, want %d", n, l.cfg.longest())
	}
	long := strings.Repeat("l", r.cfg.MaxMessage)
	r.m.Add(bridge.KindInbox, "1001", "2001", long)
	r.m.SetLimit(time.Minute)
	r.m.Until(t, "sent", bridgetest.AllClosed)
	if got := r.p.hears(t, 1); len(got) != 1 || !strings.HasSuffix(got[0], long) {
		t.Errorf("%d arrived", len(got))
	}
	if n := strings.Count(r.log.text.String(), `"connected"`); n != 1 {
		t.Errorf("%d connections of the relay, want one", n)
	}
}

// TestSearchAgain: a step of the search that is missed by chance does not become the limit.
func TestSearchAgain(t *testing.T) {
	t.Parallel()
	f := newFakeBroker(t, func(_ int, p packets.ControlPacket) ([]packets.ControlPacket, bool) { return polite(p), false })
	cfg := testConfig(t, f.url())
	f.mu.Lock()
	f.limit, f.most = 150_000, defaultMaxMessage+noticeMore
	f.mu.Unlock()
	l := start(t, bridgetest.NewMemory(t), cfg)
	l.up(t)
	if n := l.prover.lengths.known(f.ln.Addr().String(), time.Now()); n < 149_000 || n > 150_000 {
		t.Errorf("the limit is %d, want nearly 150,000", n)
	}
}

// TestSearchLimit: where a small probe comes well behind the answer to a ping, so may the others.
func TestSearchLimit(t *testing.T) {
	for _, tc := range []struct {
		took, want time.Duration
		heard      bool
	}{
		{time.Millisecond, lengthPause / 3, false},
		{400 * time.Millisecond, 4800 * time.Millisecond, true},
		{time.Hour, 2 * probeTimeLimit, true},
	} {
		got := limitFor(tc.took)
		if got != tc.want {
			t.Errorf("%v: %v, want %v", tc.took, got, tc.want)
		}
		synctest.Test(t, func(t *testing.T) {
			late := &fakeParty{late: time.Second}
			if ok, err := hears(t.Context(), late, late, "topic", 5000, got); ok != tc.heard || err != nil {
				t.Errorf("%v: heard %v (%v), want %v", tc.took, ok, err, tc.heard)
			}
		})
	}
}

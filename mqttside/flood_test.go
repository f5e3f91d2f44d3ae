package mqttside

import (
	"context"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// pacedInlet takes a moment for each offer.
type pacedInlet struct {
	bridge.Inlet
	each time.Duration
}

func (p pacedInlet) Offer(ctx context.Context, in bridge.Inbound) error {
	select {
	case <-time.After(p.each):
		return p.Inlet.Offer(ctx, in)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestBacklogAtBroker has more wait at the broker than the side keeps in memory, and come faster than the intake takes
// it: Mosquitto 2.0.11 sends far beyond its limit once the first in flight is acknowledged. The broker has to wait: each
// new connection would bring all of it again, and so for ever.
func TestBacklogAtBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 100000})
	first := start(t, r.m, r.cfg)
	first.up(t)
	first.stop()
	const n = 1500
	pad := strings.Repeat(" ", 20<<10)
	for i := range n {
		tok := r.p.Publish("/chat/1001", 1, false, body("y", i)+pad)
		if i%100 == 0 || i == n-1 {
			finish(t, tok)
		}
	}
	logins, came := r.trap.logins(), r.trap.count(proxy.Down, proxy.PUBLISH)
	d := r.m.SideJournal()
	l := startWith(t, r.m, r.cfg, d, pacedInlet{d, time.Millisecond})
	r.m.Until(t, "all taken", takenN(n))
	l.up(t)
	if more := r.trap.logins() - logins; more != 1 {
		t.Errorf("%d logins, want 1", more)
	}
	if more := r.trap.count(proxy.Down, proxy.PUBLISH) - came; more > n+20 { // probes, and what others say of themselves
		t.Errorf("%d came for %d that were waiting", more, n)
	}
	tally(t, "in", 1, n, bodies(r.m))
}

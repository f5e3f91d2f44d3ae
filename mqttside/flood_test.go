package mqttside

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// pacedInlet takes a moment for each offer.
type counter struct {
	bridge.Inlet
	n atomic.Int64
}

func (c *counter) Offer(ctx context.Context, in bridge.Inbound) error {
	c.n.Add(1)
	return c.Inlet.Offer(ctx, in)
}

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

// TestBacklogAtBroker brings more than the side keeps in memory, faster than the intake takes it: Mosquitto 2.0.11
// sends far beyond its limit once the first in flight is acknowledged. Each renewed connection has to leave behind what
// it acknowledged, or the same messages come for ever. No proxy stands between: it would hide the reset.
func TestBacklogAtBroker(t *testing.T) {
	t.Parallel()
	broker := servers.NewMosquitto(t, servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 100000})
	cfg, m := testConfig(t, broker.URL), bridgetest.NewMemory(t)
	first := start(t, m, cfg)
	first.up(t)
	first.stop()
	p := newPerson(t, broker.URL, "person")
	const n = 1500
	pad := strings.Repeat(" ", 20<<10)
	for i := range n {
		tok := p.Publish("/chat/1001", 1, false, body("y", i)+pad)
		if i%100 == 0 || i == n-1 {
			finish(t, tok)
		}
	}
	d := m.SideJournal()
	in := &counter{Inlet: pacedInlet{d, time.Millisecond}}
	l := startWith(t, m, cfg, d, in)
	m.Until(t, "all taken", takenN(n))
	l.eventually(t, "up", func() bool { ok, _ := l.Up(); return ok })
	came := in.n.Load()
	t.Logf("%d came for %d that were waiting", came, n)
	if came > n+n/2 {
		t.Errorf("%d came for %d that were waiting", came, n)
	}
	tally(t, "in", 1, n, bodies(m))
}

package mqttside

import (
	"context"
	"io"
	"net"
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

// TestPongBehindABacklog: what comes shows that the broker lives, and paho waits for an answer only a few seconds.
func TestPongBehindABacklog(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	w := newWire(near, &blind{}, func(context.Context, uint64) error { return nil }, 100)
	defer w.join()
	defer w.close(errStopped)
	const hello, mail = "\x20\x02\x00\x00", "\x30\x04\x00\x01tx"
	go func() { // ends with far
		_, _ = io.WriteString(far, hello)
		_, _ = io.CopyN(io.Discard, far, 2)
		_, _ = io.WriteString(far, mail+mail)
	}()
	got := make([]byte, len(hello))
	if _, err := io.ReadFull(w, got); err != nil || string(got) != hello {
		t.Fatalf("got %x, %v", got, err)
	}
	if _, err := w.Write([]byte{0xc0, 0}); err != nil {
		t.Fatal(err)
	}
	const want = "\xd0\x00" + mail + mail
	got = make([]byte, len(want))
	if _, err := io.ReadFull(w, got); err != nil || string(got) != want {
		t.Errorf("got %x, want %x, %v", got, want, err)
	}
}

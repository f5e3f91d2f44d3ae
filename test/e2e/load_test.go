package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"

	"golang.org/x/sync/errgroup"
)

// finish waits for the end of a load and judges it. It returns the figures. A server that was restarted may have
// lost what it was writing to a client; where it has an archive, that is what arrived, and its order counts.
func finish(ctx context.Context, t *testing.T, f *stage.Traffic, archived bool) stage.Counts {
	t.Helper()
	if archived {
		soon, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		_ = f.O.Settle(soon) // what is missing then is looked for in the archives
		if err := f.ReadArchives(ctx); err != nil {
			t.Errorf("archives: %v", err)
		}
	}
	if err := f.O.Settle(ctx); err != nil {
		t.Errorf("not all came: %v", err)
	} else if err := f.Flush(ctx); err != nil {
		t.Errorf("after the load: %v", err)
	}
	f.O.Judge(t)
	return f.O.Counts()
}

// clean fails the test unless everything came once and every sender was told.
func clean(t *testing.T, c stage.Counts) {
	t.Helper()
	if c.LostM+c.LostX+c.Untold+c.DupX > 0 {
		t.Errorf("of %d messages: lost to MQTT %d, lost to XMPP %d, doubled at XMPP %d, sender not told %d", c.Sent, c.LostM, c.LostX, c.DupX, c.Untold)
	}
}

// unrelayed is how many messages may be under way in each direction.
const unrelayed = 500

// kills is how often the relay dies in a killed load.
const kills = 10

// loads is one load under some trouble.
type loads struct {
	name     string
	broker   servers.MosquittoConfig
	xmpp     servers.XMPPConfig
	n        func(*testing.T) int
	fault    func(context.Context, *stage.Traffic) error // while the load runs
	retries  bool                                        // senders may say again what was lost before the relay had it
	parallel bool
	archived string // the XMPP server that this is for, with an archive; empty: both, without
}

func TestLoad(t *testing.T) {
	generous := servers.XMPPConfig{SMQueue: 100000}
	for _, l := range []loads{
		{name: "plain", n: loadSize},
		{name: "rate limits", xmpp: servers.XMPPConfig{RateLimits: true}, n: func(*testing.T) int { return 200 }, parallel: true},
		{name: "relay killed", xmpp: generous, n: loadSize, fault: killing},
		{name: "mosquitto restarted", broker: servers.MosquittoConfig{Persistence: true}, n: smaller, fault: restartBroker},
		{name: "xmpp restarted", xmpp: generous, n: smaller, fault: restartXMPP, retries: true, archived: "prosody"},
	} {
		for _, x := range stage.XMPPServers() {
			if l.archived != "" && l.archived != x.Name {
				continue // what a server without an archive loses and repeats when it stops is in test/chaos
			}
			t.Run(l.name+"/"+x.Name, func(t *testing.T) {
				if l.parallel {
					t.Parallel()
				}
				row := l // parallel rows share nothing
				row.xmpp.MAM = l.archived == x.Name
				row.run(t, x.Start)
			})
		}
	}
}

func smaller(t *testing.T) int { t.Helper(); return loadSize(t) / 10 }

func (l loads) run(t *testing.T, start func(testing.TB, servers.XMPPConfig) *servers.XMPP) {
	t.Helper()
	o := stage.NewOracle(unrelayed)
	o.Archives = l.xmpp.MAM
	s := stage.New(t, stage.Plan{Binary: binary, Start: start, Broker: l.broker, XMPP: l.xmpp, Heard: o})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	f := stage.NewTraffic(s, o)
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.Send(gctx, l.n(t)) })
	if l.fault != nil {
		g.Go(func() error { return l.fault(gctx, f) })
	}
	rest, enough := context.WithCancel(ctx)
	nagged := make(chan error, 1)
	go func() { // waited for below
		if l.retries {
			nagged <- f.Nag(rest)
			return
		}
		nagged <- nil
	}()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	c := finish(ctx, t, f, l.xmpp.MAM)
	enough()
	<-nagged
	took := time.Since(began)
	clean(t, c)
	st := s.Relay.Balanced()
	t.Logf("%d messages in %v (%.0f/s): lost to MQTT %d, to XMPP %d, doubled at XMPP %d, untold %d; %s",
		c.Sent, took.Round(time.Millisecond), float64(c.Sent)/took.Seconds(), c.LostM, c.LostX, c.DupX, c.Untold, st)
	s.Relay.Stop()
}

// progress waits until a share of the load has been relayed.
func progress(ctx context.Context, f *stage.Traffic, total int, share float64) error {
	return f.O.Relayed(ctx, int(share*float64(total)))
}

// killing kills the relay at random moments of the load and starts it at once. At most 2×unrelayed
// messages can be sent meanwhile: fewer than mosquitto keeps (1,000 for the one direction it serves).
func killing(ctx context.Context, f *stage.Traffic) error {
	total := 2 * loadSize(f.S.T)
	var slowest time.Duration
	for i := range kills {
		share := (float64(i) + rand.Float64()) / (kills + 1)
		if err := progress(ctx, f, total, share); err != nil {
			return fmt.Errorf("kill %d: %w", i, err)
		}
		f.S.Relay.Kill()
		slowest = max(slowest, f.S.Relay.Start())
	}
	f.S.T.Logf("slowest of %d restarts until ready: %v", kills, slowest)
	return nil
}

func restartBroker(ctx context.Context, f *stage.Traffic) error {
	return restart(ctx, f, f.S.MQTT.Stop, f.S.MQTT.Start)
}

func restartXMPP(ctx context.Context, f *stage.Traffic) error {
	return restart(ctx, f, f.S.XMPP.Stop, f.S.XMPP.Start)
}

// restart restarts a server in the middle of the load and wants the relay back 3 s after it.
func restart(ctx context.Context, f *stage.Traffic, stop, start func() error) error {
	if err := progress(ctx, f, 2*smaller(f.S.T), 0.4); err != nil {
		return err
	}
	if err := errors.Join(stop(), f.S.Relay.Unready(ctx), start()); err != nil {
		return err
	}
	began := time.Now()
	if err := f.S.Relay.Ready(3 * time.Second); err != nil {
		return fmt.Errorf("after the server's return: %w", err)
	}
	f.S.T.Logf("ready %v after the server's return", time.Since(began).Round(time.Millisecond))
	return nil
}

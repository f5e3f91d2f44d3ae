package mqttside

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"chatrelay/internal/fix"
	"chatrelay/internal/wait"
)

const (
	loginDelay   = 3 * time.Second        // after a refused login (no lock-out storm) or certificate
	lookEvery    = 200 * time.Millisecond // at a connection's health
	stalledAfter = 30 * time.Second       // without any acknowledgement of what is in flight
	renewEvery   = time.Second            // at most, while the journal is full
	sayRenew     = time.Minute
	stableAfter  = 5 * time.Second // a connection that lived so long shows that all is well
)

// loop connects and reconnects until ctx ends. It returns the connection that is up then, if any. Helpers of a
// connection are added to wg.
func (s *Side) loop(ctx context.Context, wg *sync.WaitGroup) *connection {
	var delay wait.Backoff
	failure := fix.Failure{Side: fix.MQTT}
	for ctx.Err() == nil {
		k, err := s.connect(ctx)
		if err == nil {
			err = s.serve(ctx, k, wg, failure.Over)
			if ctx.Err() != nil && k.alive() {
				return k
			}
			s.lose(k, err)
			if ctx.Err() == nil {
				s.cfg.lost(err)
			}
			if !errors.Is(err, errRenewed) {
				s.prover.drop()
			}
			s.examine(k)
			if k.healthy() {
				delay.Reset()
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errRenewed) {
			continue
		}
		explained, fresh := failure.See(ctx, time.Now(), err)
		s.setWhy(fix.Text(fix.MQTT, explained))
		if fresh {
			s.log.Warn().Err(explained).Str("fix", fix.For(fix.MQTT, explained)).Msg("not connected; trying again")
		}
		if s.poison.deaths < 2 && k != nil && s.fights.fought(ctx, s, k) {
			s.setWhy("another client uses our client id")
			s.yield(ctx, k)
			continue
		}
		s.idle(ctx, delay.Next(time.Now(), floor(err)), err)
	}
	return nil
}

// examine looks for a message that closed a connection. Its length is not taken for granted any more.
func (s *Side) examine(k *connection) {
	if s.poison.blame(k, s) {
		s.prover.lengths.forget(k.url.Host)
	}
}

// lose takes a closed link out of use. What is bound stays, to be resumed on the next one.
func (s *Side) lose(k *connection, why error) {
	s.setLive(nil, fix.Short(why))
	s.session.End(k.conn)
	k.conn.Close(why)
	k.conn.Join()
}

// connect tries each broker once, in order.
func (s *Side) connect(ctx context.Context) (*connection, error) {
	var failed []error
	for _, u := range s.urls {
		for {
			if err := s.learn(ctx, u); err != nil {
				failed = append(failed, err)
				break
			}
			k := s.newConnection(u)
			err := k.connect(ctx)
			if err == nil {
				if say := s.brokers.accepted(u.Host, k.level, time.Now()); say != "" {
					s.log.Info().Str("broker", u.Host).Msg(say)
				}
				return k, nil
			}
			s.examine(k)
			if !s.plainer(ctx, k, err) {
				failed = append(failed, err)
				break
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failed...)
}

// plainer notes a login that was not accepted; true: try again at once, with a plainer level.
func (s *Side) plainer(ctx context.Context, k *connection, err error) bool {
	if !k.asked || ctx.Err() != nil {
		return false // the broker has not seen our CONNECT, or not been given the time to answer
	}
	again, say := s.brokers.refused(k.url.Host, k.level, answerOf(err), time.Now())
	if say != "" {
		s.log.Info().Str("broker", k.url.Host).Msg(say)
	}
	return again
}

// serve makes a logged-in link useful and watches it until it closes or ctx ends.
func (s *Side) serve(ctx context.Context, k *connection, wg *sync.WaitGroup, up func()) error {
	var known *silence
	if err := s.prepare(ctx, k); err != nil {
		if known = deniedBy(err); known == nil {
			return err
		}
	}
	s.announce(k, "online")
	if s.brokers.toRemove(k.url.Host) != "" {
		wg.Go(func() { s.removeLeft(ctx, k.url) }) // ends with ctx, or at the first that fails
	}
	if _, some := s.oldestElsewhere(); some {
		wg.Go(func() { s.askElsewhere(ctx, k) }) // ends with k or ctx
	}
	follow := sync.OnceFunc(func() { wg.Go(func() { s.devices.follow(ctx, k) }) }) // ends with k or ctx
	for {
		if err := s.convince(ctx, k, known); err != nil {
			return err
		}
		s.setLive(k, "")
		s.sayConnected(k)
		up()
		follow()
		if now := time.Now(); now.Sub(s.fights.looked) > othersEvery && s.brokers.sideSafe(k.url.Host) {
			s.fights.looked = now
			wg.Go(func() { s.lookForOthers(ctx, k.url) }) // ends with ctx or after probeTimeout
		}
		var err error
		if known, err = s.proveUntilHeard(ctx, k); err != nil {
			return err
		}
	}
}

func (s *Side) sayConnected(k *connection) {
	say := s.log.Info()
	if time.Since(s.renewed) < stableAfter {
		say = s.log.Debug() // it was known, and may be so every second
	}
	window, _ := s.brokers.window(k.url.Host, s.cfg.Window)
	say.Str("broker", k.url.Host).Uint8("protocol", uint8(k.level)).Bool("session", k.conn.Present).Int("window", window).Msg("connected")
}

// prepare waits until what was resumed is acknowledged, then subscribes: nothing new overtakes it.
func (s *Side) prepare(ctx context.Context, k *connection) error {
	if err := s.watch(ctx, k, s.session.Empty); err != nil {
		return err
	}
	return s.subscribe(ctx, k)
}

// watch waits until done says so (then it returns nil), or the connection closes or ctx ends (an error).
func (s *Side) watch(ctx context.Context, k *connection, done func() bool) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		var change <-chan struct{}
		if done != nil {
			change = s.changed.Wait()
			if done() {
				return nil
			}
		}
		select {
		case <-k.conn.Closed():
			return k.conn.Reason()
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		case now := <-look.C:
			s.inspect(k, now)
		}
	}
}

// inspect renews a connection that is of no more use.
func (s *Side) inspect(k *connection, now time.Time) {
	k.mu.Lock()
	doomed := k.doomed
	k.mu.Unlock()
	if doomed != nil {
		k.fail(doomed)
		return
	}
	if s.session.Stalled(now, stalledAfter) && !s.inbox.pressed(stalledAfter) {
		k.fail(fmt.Errorf("the broker has acknowledged nothing for %v", stalledAfter))
		return
	}
	why, done := k.dropped()
	if why == "" || !done || k.conn.Holds() || !s.inbox.roomy() || !s.cfg.HasSpace() || now.Sub(s.renewed) < renewEvery {
		return
	}
	s.renewed = now
	k.renew(now, why)
}

// idle waits before the next attempt; a changed password ends the wait for a refused login.
func (s *Side) idle(ctx context.Context, d time.Duration, err error) {
	if !errors.Is(err, errLogin) || s.cfg.Password == nil {
		wait.Pause(ctx, d)
		return
	}
	before, _ := s.cfg.Password() // an error counts as no change
	for end := time.Now().Add(d); time.Now().Before(end) && wait.Pause(ctx, min(d, time.Second)); {
		if now, err := s.cfg.Password(); err == nil && now != before {
			return
		}
	}
}

// floor is the least delay after a failure.
func floor(err error) time.Duration {
	if errors.Is(err, errLogin) || errors.As(err, new(refusedFilter)) || fix.Certificate(err) {
		return loginDelay
	}
	return 0
}

func (s *Side) setWhy(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = why
}

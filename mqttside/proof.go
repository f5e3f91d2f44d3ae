package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
)

const (
	probeTimeLimit = 5 * time.Second  // until a probe counts as not heard
	probeEvery     = 25 * time.Second // between probes: with the limit it makes 30 s
	probeMany      = 10_000           // so many settled messages do not wait for the next probe
	probeRetry     = 2 * time.Second  // between probes, while none is heard
	probeSooner    = 2 * time.Second  // the limit then
	lengthPause    = 2 * time.Second  // the limit for the longest probe; for the steps of the search a third, at least
	measureLimit   = time.Minute
	verdictLimit   = 30 * time.Second // a connection in use whose probes cannot be tried for so long is of no use
)

// silence says what probes were not heard although the broker works.
type silence struct {
	out, in   bool           // what we say; what we are to hear
	long      bool           // only the long one
	denied    *refusedFilter // the SUBSCRIBE itself was refused
	untrusted bool           // the second login does not even hear itself: it may lack the right that the relay has
}

// deniedBy is what a refused SUBSCRIBE says; nil: err is none.
func deniedBy(err error) *silence {
	if denied, ok := errors.AsType[refusedFilter](err); ok {
		return &silence{in: true, denied: &denied}
	}
	return nil
}

func (e *silence) Error() string {
	switch {
	case e.denied != nil:
		return "the broker does not let us subscribe to the inboxes"
	case e.long:
		return "the broker drops messages as long as those it took before"
	case e.in && !e.out:
		return "the broker brings us nothing from the inboxes"
	case e.out && !e.in:
		return "the broker drops what we publish to the inboxes"
	}
	return "the broker drops what we publish to the inboxes, or brings us nothing from them"
}

// prover finds out by probes whether the broker does what it acknowledges. Run's goroutine owns it; a round has it
// while it runs.
type prover struct {
	topic   string // of the probes of this process; never changes
	lengths lengths

	listener *listener // at host; nil: none
	host     string
	failed   int                // attempts in a row in which a second login showed nothing
	since    time.Time          // when the first of them was
	deaf     bool               // in the last of them it did not hear itself
	closed   map[string]closure // brokers that closed the relay's own connection over a long probe
	last     time.Time          // when a probe was heard, or failed to tell
	tried    time.Time          // when one was tried last on a connection in use
	untried  time.Time          // since when none could be tried on a connection in use; zero: it could
	warned   string             // silence that was said last
	took     time.Duration      // how long the last small probes took that were heard
	shorter  bool               // a long probe was missed: messages as long may have been dropped
}

// close ends the second login.
func (p *prover) close() {
	if p.listener != nil {
		p.listener.close()
		p.listener = nil
	}
}

// drop ends it with the relay's own connection: it may have died of the same.
func (p *prover) drop() {
	if p.listener != nil {
		p.listener.drop()
		p.listener = nil
	}
}

// convince lets probes go round until they are heard: nothing is published before. It says what is wrong. known is what
// is known already.
func (s *Side) convince(ctx context.Context, k *connection, known *silence) error {
	limit := probeTimeLimit
	for attempt := 0; ; attempt++ {
		last, denied := s.journal.LastUnproven(), s.refusals.asks()
		var verdict error = known
		if known == nil {
			var err error
			verdict, err = s.round(ctx, k, func(ctx context.Context) error { return s.tryAll(ctx, k, limit) })
			if err != nil {
				return err
			}
		}
		switch {
		case verdict == nil:
			s.proven(k, last, denied)
			return nil
		case errors.As(verdict, &known):
			s.unproven(k, known)
		case s.alone(k, verdict):
			return errRenewed
		default:
			s.setWhy(fix.Short(verdict))
			s.log.Debug().Err(verdict).Msg("a probe could not be tried")
		}
		err := s.again(ctx, k, known, attempt)
		if known = deniedBy(err); known == nil && err != nil {
			return err
		}
		limit = probeSooner
	}
}

// alone ends a connection with the bridge bit where no second login can hear its probes.
func (s *Side) alone(k *connection, verdict error) bool {
	if !errors.Is(verdict, errBeside) || k.hearsItself() || s.inbox.pressed(verdictLimit) || !s.brokers.single(k.url.Host, time.Now()) {
		return false
	}
	s.log.Warn().Err(verdict).Str("broker", k.url.Host).
		Msg("nothing logs in beside the relay: it goes on without the bridge bit, and hears its own messages")
	k.goodbye(errRenewed)
	return true
}

// again prepares the next attempt on a connection where nothing was heard. What is in flight is waited for: it went out
// in doubt. An ACL that was changed acts on a living connection, but a SUBSCRIBE may have been granted in silence. It is
// repeated only where that may be it: it brings all retained messages.
func (s *Side) again(ctx context.Context, k *connection, quiet *silence, attempt int) error {
	wait := probeRetry
	if quiet == nil { // it could not be tried
		wait = min(probeRetry, 100*time.Millisecond<<min(attempt, 10))
	}
	until := time.Now().Add(wait)
	if err := s.watch(ctx, k, func() bool { return time.Now().After(until) && s.session.Empty() }); err != nil {
		return err
	}
	if quiet == nil {
		return nil
	}
	s.prover.close()
	if quiet.denied == nil && (!quiet.in || quiet.out && (!k.hearsItself() || attempt%4 != 0)) {
		return nil
	}
	if k.level != level5 { // there it asks again anyway
		s.filterAt = ""
	}
	return s.subscribe(ctx, k)
}

// round runs f beside the watch over the connection. verdict is f's error, err the connection's.
func (s *Side) round(ctx context.Context, k *connection, f func(context.Context) error) (verdict, err error) {
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	var over atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { // waited for below
		verdict = f(ctx2)
		over.Store(true)
		s.changed.Wake()
	})
	err = s.watch(ctx, k, over.Load)
	cancel()
	wg.Wait()
	return verdict, err
}

// tryAll tries the small probes, and the long one where its fate is not remembered.
func (s *Side) tryAll(ctx context.Context, k *connection, limit time.Duration) error {
	if err := s.tryProbes(ctx, k, probeLeast, limit); err != nil {
		return err
	}
	if s.prover.lengths.known(k.url.Host, time.Now()) > 0 {
		return nil
	}
	return s.measure(ctx, k)
}

// proven: the broker passes on what we publish, and brings it. What was settled before the probe went out is certain.
func (s *Side) proven(k *connection, settled uint64, denied int) {
	p := &s.prover
	if p.warned != "" {
		s.log.Info().Str("broker", k.url.Host).Msg("probes are heard again: messages leave")
		p.warned = ""
	}
	p.last = time.Now()
	limit := s.prover.lengths.known(k.url.Host, time.Now())
	if limit < s.cfg.longest() && p.shorter {
		s.bounceUnconfirmed(limit, bridge.Refuse("too_large", "it may not have arrived: the MQTT broker takes no message longer than %d bytes", limit))
	} else {
		s.confirm(k.url.Host, settled)
	}
	p.shorter = false
	s.trust.proven()
	s.refusals.decide(denied, true, aclLine(&s.cfg, k.url))
}

// unproven: nothing shows that what was settled since the last heard probe has arrived. Its senders are told, unless it
// is only that nothing comes. Nothing more leaves.
func (s *Side) unproven(k *connection, e *silence) {
	p := &s.prover
	fix := aclLine(&s.cfg, k.url)
	switch {
	case e.long:
		fix = longFix
	case e.denied != nil:
		fix = e.denied.fix(fix)
	}
	text := e.Error() + ": " + fix
	s.setLive(nil, text)
	maybe := 0
	switch {
	case e.untrusted: // nor was anything shown against it: nothing is settled, and nothing bounced, until it is known
		s.trust.suspend()
	case e.in && !e.out && e.denied == nil: // what we publish was heard
		s.trust.proven()
	case e.long:
		maybe = s.trust.distrust()
		p.shorter = true
		s.prover.lengths.forget(k.url.Host)
	default:
		maybe = s.trust.distrust()
		s.refusals.release()
		s.bounceUnconfirmed(0, bridge.Refuse("no_right", "it may not have arrived: %s", e.Error()))
	}
	if p.warned == text {
		return
	}
	p.warned = text
	s.log.Error().Str("broker", k.url.Host).Str("fix", fix).Int("maybe_duplicate", maybe).
		Msg(e.Error() + ": messages to MQTT are kept until a probe of the relay is heard")
}

// aclLine is what the broker's ACL must have, as Mosquitto writes it.
func aclLine(cfg *Config, u *url.URL) string {
	return fmt.Sprintf(`%s"topic readwrite %s/#"`, aclUser(cfg, u), cfg.Prefix)
}

// aclUser is how the advice begins.
func aclUser(cfg *Config, u *url.URL) string {
	user := cfg.Username
	if user == "" && u.User != nil {
		user = u.User.Username()
	}
	if user == "" {
		return "the broker's ACL must have "
	}
	return fmt.Sprintf(`the broker's ACL must have "user %s" and `, user)
}

// due tells whether it is time for a regular probe.
func (s *Side) due(now time.Time) bool {
	since := now.Sub(s.prover.last)
	n, _ := s.trust.sinceProbe()
	return s.refusals.asks() > 0 && now.Sub(s.prover.tried) >= probeRetry/10 || since >= probeEvery || n >= probeMany && since >= time.Second
}

// nextProbe tells whether a probe is to go now; want: for a message of that length. A regular one that is due comes
// first, for there may be no end of the others.
func (s *Side) nextProbe(now time.Time, host string) (want int, goes bool) {
	if s.due(now) {
		return 0, true
	}
	want = s.prover.lengths.wanted(host)
	return want, want > 0
}

// proveUntilHeard probes on a connection in use, until a probe is not heard (nil) or the connection ends.
func (s *Side) proveUntilHeard(ctx context.Context, k *connection) (*silence, error) {
	host := k.url.Host
	s.prover.untried = time.Time{}
	for {
		want := 0
		err := s.watch(ctx, k, func() (goes bool) { want, goes = s.nextProbe(time.Now(), host); return goes })
		if err != nil {
			return nil, err
		}
		last, denied := s.journal.LastUnproven(), s.refusals.asks()
		n, long := s.trust.sinceProbe()
		s.prover.tried = time.Now()
		verdict, err := s.round(ctx, k, func(ctx context.Context) error {
			if want > 0 {
				return s.tryLength(ctx, k, want)
			}
			return s.retryProbe(ctx, k, max(probeLeast, long))
		})
		var quiet *silence
		switch {
		case err != nil:
			return nil, err
		case errors.As(verdict, &quiet) && !(quiet.out && quiet.in && !k.takes()): // else it may wait behind what a full journal leaves unacknowledged
			return quiet, nil
		case s.alone(k, verdict):
			return nil, errRenewed
		case verdict != nil:
			s.log.Debug().Err(verdict).Msg("a probe could not be tried")
			s.prover.lengths.unwant(host)
			if want == 0 && s.hopeless(k, n, verdict) {
				return nil, k.conn.Reason()
			}
		case want == 0:
			s.prover.untried = time.Time{}
			s.trust.probed(n)
			s.proven(k, last, denied)
		}
	}
}

// hopeless notes that a regular probe could not be tried; it is soon tried again. After long the connection ends, if
// messages were settled on it: they are not to be trusted for ever.
func (s *Side) hopeless(k *connection, settled int, why error) bool {
	p := &s.prover
	now := time.Now()
	p.last = now.Add(probeRetry - probeEvery)
	if settled == 0 || s.inbox.pressed(verdictLimit) {
		return false
	}
	if p.untried.IsZero() {
		p.untried = now
	}
	if now.Sub(p.untried) < verdictLimit {
		return false
	}
	k.fail(fmt.Errorf("no probe could be tried for %v: %w", verdictLimit, why))
	return true
}

// retryProbe lets a probe go out as long as the longest message since the last one.
func (s *Side) retryProbe(ctx context.Context, k *connection, long int) error {
	err := s.tryProbes(ctx, k, long, probeTimeLimit)
	var quiet *silence
	if long <= probeLeast || !errors.As(err, &quiet) || !quiet.out || quiet.untrusted {
		return err
	}
	if err := s.tryProbes(ctx, k, probeLeast, probeSooner); err != nil {
		return err
	}
	return &silence{out: true, long: true}
}

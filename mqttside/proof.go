package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"chatrelay/bridge"
)

const (
	probePatience = 5 * time.Second  // until a probe counts as not heard
	probeBusy     = 25 * time.Second // between probes, while messages go that way: with the patience it makes 30 s
	probeIdle     = 5 * time.Minute  // else
	probeMany     = 10_000           // so many settled messages do not wait for the next probe
	probeRetry    = 2 * time.Second  // between probes, while none is heard
	probeSooner   = 2 * time.Second  // the patience then
	lengthPause   = 2 * time.Second  // the patience for the longest probe; for the steps of the search a third
	listenLimit   = 5 * time.Second  // for a second login
	measureLimit  = time.Minute
	aloneAfter    = 3 // failed second logins in a row, and for so long, before the connection is to hear itself
	aloneFor      = 5 * time.Second
)

// silence says what probes were not heard although the broker works.
type silence struct {
	out, in bool // what we say; what we are to hear
	long    bool // only the long one
	denied  bool // the SUBSCRIBE itself was refused
}

func (e *silence) Error() string {
	switch {
	case e.denied:
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

// errBeside: the second login does not come about.
var errBeside = errors.New("no second login at the broker")

// prover finds out by probes whether the broker does what it acknowledges. Run's goroutine owns it; a round has it
// while it runs.
type prover struct {
	topic   string // of the probes of this process; never changes
	lengths lengths

	listener *listener // at host; nil: none
	host     string
	failed   int                // second logins in a row that did not come about
	since    time.Time          // when the first of them failed
	closed   map[string]closure // brokers that closed the relay's own connection over a long probe
	last     time.Time          // when a probe was heard, or failed to tell
	told     string             // silence that was said last
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
func (s *Side) convince(ctx context.Context, k *link, known *silence) error {
	patience := probePatience
	for attempt := 0; ; attempt++ {
		mark := s.desk.LastUnproven()
		var verdict error = known
		if known == nil {
			var err error
			verdict, err = s.round(ctx, k, func(ctx context.Context) error { return s.tryAll(ctx, k, patience) })
			if err != nil {
				return err
			}
		}
		switch {
		case verdict == nil:
			s.proven(k, mark)
			return nil
		case errors.As(verdict, &known):
			s.unproven(k, known)
		case s.alone(k, verdict):
			return errRenewed
		default:
			s.setWhy(short(verdict))
			s.log.Debug().Err(verdict).Msg("a probe could not be tried")
		}
		err := s.again(ctx, k, known, attempt)
		if known = nil; errors.Is(err, errSubscribe) {
			known = &silence{in: true, denied: true}
		} else if err != nil {
			return err
		}
		patience = probeSooner
	}
}

// alone ends a connection with the bridge bit where no second login can hear its probes.
func (s *Side) alone(k *link, verdict error) bool {
	if !errors.Is(verdict, errBeside) || k.level == levelPlain || !s.brokers.single(k.url.Host, time.Now()) {
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
func (s *Side) again(ctx context.Context, k *link, quiet *silence, attempt int) error {
	wait := probeRetry
	if quiet == nil { // it could not be tried
		wait = min(probeRetry, 100*time.Millisecond<<min(attempt, 10))
	}
	until := time.Now().Add(wait)
	if err := s.watch(ctx, k, func() bool { return time.Now().After(until) && s.outbox.empty() }); err != nil {
		return err
	}
	if quiet == nil {
		return nil
	}
	s.prover.close()
	if !quiet.denied && (!quiet.in || quiet.out && (k.level != levelPlain || attempt%4 != 0)) {
		return nil
	}
	s.filterAt = ""
	return s.subscribe(ctx, k)
}

// round runs f beside the watch over the connection. verdict is f's error, err the connection's.
func (s *Side) round(ctx context.Context, k *link, f func(context.Context) error) (verdict, err error) {
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	var over atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { // waited for below
		verdict = f(ctx2)
		over.Store(true)
		s.changed.ring()
	})
	err = s.watch(ctx, k, over.Load)
	cancel()
	wg.Wait()
	return verdict, err
}

// tryAll tries the small probes, and the long one where its fate is not remembered.
func (s *Side) tryAll(ctx context.Context, k *link, patience time.Duration) error {
	if err := s.tryProbes(ctx, k, probeLeast, patience); err != nil {
		return err
	}
	if s.prover.lengths.known(k.url.Host, time.Now()) > 0 {
		return nil
	}
	return s.measure(ctx, k)
}

// tryProbes lets a probe of a length go out, and a small one come in.
func (s *Side) tryProbes(ctx context.Context, k *link, long int, patience time.Duration) error {
	var l *listener
	err := errBeside
	if k.level != levelPlain || !s.brokers.single(k.url.Host, time.Now()) {
		l, err = s.beside(ctx, k.url)
	}
	if k.level == levelPlain && errors.Is(err, errBeside) {
		ok, err := hears(ctx, k, k, s.prover.topic, long, patience)
		if err == nil && !ok {
			return &silence{out: true, in: true}
		}
		return err
	}
	if err != nil {
		return err
	}
	var out, in bool
	var wrongOut, wrongIn error
	var wg sync.WaitGroup
	wg.Go(func() { out, wrongOut = hears(ctx, k, l, s.prover.topic, long, patience) })
	wg.Go(func() { in, wrongIn = hears(ctx, l, k, s.prover.topic, probeLeast, patience) })
	wg.Wait()
	if err := errors.Join(wrongOut, wrongIn); err != nil {
		return err
	}
	// Some brokers let a probe wait behind what we leave unacknowledged. To wait for it would be for ever: the book gets
	// room by what leaves. Then the connection is renewed.
	in = in || !k.takes()
	if !out || !in {
		return &silence{out: !out, in: !in}
	}
	return nil
}

// beside gives the second login at a broker, which listens for probes. One that may not subscribe where the relay's own
// connection may, as where rights go by client id, is none.
func (s *Side) beside(ctx context.Context, u *url.URL) (*listener, error) {
	p := &s.prover
	if p.listener != nil && p.host == u.Host && p.listener.alive() {
		return p.listener, nil
	}
	p.close()
	ctx, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	t, err := s.sideLogin(ctx, u)
	var l *listener
	if err == nil {
		l, err = listen(t, s.prover.topic)
	}
	if err != nil {
		if p.failed++; p.failed == 1 {
			p.since = time.Now()
		}
		if p.failed >= aloneAfter && time.Since(p.since) > aloneFor {
			p.failed = 0
			s.brokers.setLonely(u.Host, time.Now())
		}
		return nil, fmt.Errorf("%w: %w", errBeside, err)
	}
	p.listener, p.host, p.failed = l, u.Host, 0
	return l, nil
}

// proven: the broker passes on what we publish, and brings it. What was settled before the probe went out is certain.
func (s *Side) proven(k *link, mark uint64) {
	p := &s.prover
	if p.told != "" {
		s.log.Info().Str("broker", k.url.Host).Msg("probes are heard again: messages leave")
		p.told = ""
	}
	p.last = time.Now()
	limit := s.prover.lengths.known(k.url.Host, time.Now())
	if limit < s.cfg.longest() && p.shorter {
		s.desk.BounceUnconfirmed(bridge.MQTT, limit, bridge.Refuse("too_large", "it may not have arrived: the MQTT broker takes no message longer than %d bytes", limit))
	} else {
		s.desk.Confirm(bridge.MQTT, mark)
	}
	p.shorter = false
	s.outbox.prove()
}

// unproven: nothing shows that what was settled since the last heard probe has arrived. Its senders are told, unless it
// is only that nothing comes. Nothing more leaves.
func (s *Side) unproven(k *link, e *silence) {
	p := &s.prover
	fix := aclLine(&s.cfg, k.url)
	if e.long {
		fix = longFix
	}
	text := e.Error() + ": " + fix
	s.setLive(nil, text)
	maybe := 0
	switch {
	case e.in && !e.out && !e.denied: // what we publish was heard
		s.outbox.prove()
	case e.long:
		maybe = s.outbox.distrust()
		p.shorter = true
		s.prover.lengths.forget(k.url.Host)
	default:
		maybe = s.outbox.distrust()
		s.desk.BounceUnconfirmed(bridge.MQTT, 0, bridge.Refuse("no_right", "it may not have arrived: %s", e.Error()))
	}
	if p.told == text {
		return
	}
	p.told = text
	s.log.Error().Str("broker", k.url.Host).Str("fix", fix).Int("maybe_duplicate", maybe).
		Msg(e.Error() + ": messages to MQTT are kept until a probe of the relay is heard")
}

// aclLine is what the broker's ACL must have, as Mosquitto writes it.
func aclLine(cfg *Config, u *url.URL) string {
	user := cfg.Username
	if user == "" && u.User != nil {
		user = u.User.Username()
	}
	var b strings.Builder
	b.WriteString("the broker's ACL must have ")
	if user != "" {
		fmt.Fprintf(&b, `"user %s" and `, user)
	}
	fmt.Fprintf(&b, `"topic readwrite %s/#"`, cfg.Prefix)
	return b.String()
}

// due tells whether it is time for a probe.
func (s *Side) due(now time.Time, host string) bool {
	since := now.Sub(s.prover.last)
	n, _ := s.outbox.sinceProbe()
	return since >= probeIdle || n > 0 && since >= probeBusy || n >= probeMany && since >= time.Second || s.prover.lengths.wanted(host) > 0
}

// keepProving probes on a connection in use, until a probe is not heard (nil) or the connection ends.
func (s *Side) keepProving(ctx context.Context, k *link) (*silence, error) {
	host := k.url.Host
	for {
		if err := s.watch(ctx, k, func() bool { return s.due(time.Now(), host) }); err != nil {
			return nil, err
		}
		mark := s.desk.LastUnproven()
		n, long := s.outbox.sinceProbe()
		want := s.prover.lengths.wanted(host)
		verdict, err := s.round(ctx, k, func(ctx context.Context) error {
			if want > 0 {
				return s.tryLength(ctx, k, want)
			}
			return s.tryAgain(ctx, k, max(probeLeast, long))
		})
		var quiet *silence
		switch {
		case err != nil:
			return nil, err
		case errors.As(verdict, &quiet):
			return quiet, nil
		case s.alone(k, verdict):
			return nil, errRenewed
		case verdict != nil:
			s.log.Debug().Err(verdict).Msg("a probe could not be tried")
			s.prover.lengths.unwant(host)
			s.prover.last = time.Now().Add(probeRetry - probeBusy) // soon again
		case want == 0:
			s.outbox.probed(n)
			s.proven(k, mark)
		}
	}
}

// tryAgain lets a probe go out as long as the longest message since the last one.
func (s *Side) tryAgain(ctx context.Context, k *link, long int) error {
	err := s.tryProbes(ctx, k, long, probePatience)
	var quiet *silence
	if long <= probeLeast || !errors.As(err, &quiet) || !quiet.out {
		return err
	}
	if err := s.tryProbes(ctx, k, probeLeast, probeSooner); err != nil {
		return err
	}
	return &silence{out: true, long: true}
}

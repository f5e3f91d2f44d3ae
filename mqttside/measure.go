package mqttside

import (
	"context"
	"errors"
	"time"

	"chatrelay/mqttside/session"
)

const longFix = "raise the broker's limits (Mosquitto: message_size_limit, max_packet_size), or lower CHATRELAY_MAX_MESSAGE"

// measure finds out the longest message that the broker passes on, up to the longest that is ever sent. It does so on
// the second login where there is one: a broker may close the connection over a long message.
func (s *Side) measure(ctx context.Context, k *connection) error {
	host, most := k.url.Host, k.longestProbe()
	step := s.prover.stepLimit()
	ctx, cancel := context.WithTimeout(ctx, measureTime(most, step))
	defer cancel()
	ok, err := s.longHeard(ctx, k, most, 2, max(step, lengthPause))
	if err != nil {
		return err
	}
	if ok {
		s.prover.lengths.heard(host, most, time.Now())
		return nil
	}
	s.log.Warn().Str("broker", host).Int("bytes", most).Str("fix", longFix).
		Msg("the broker drops a message as long as CHATRELAY_MAX_MESSAGE allows: looking for its limit")
	low, high, err := search(most, func(n int) (bool, error) { return s.longHeard(ctx, k, n, 1, step) })
	if err == nil && high < most { // a step may have been missed by chance: it is not to cut the limit short
		if ok, err = s.longHeard(ctx, k, high, 2, max(step, lengthPause)); ok {
			err = errSearch
		}
	}
	if err != nil {
		return err
	}
	delete(s.prover.closed, host)
	s.prover.shorter = true
	s.prover.lengths.missed(host, high, time.Now())
	s.prover.lengths.heard(host, low, time.Now())
	s.log.Warn().Str("broker", host).Int("bytes", low).Msg("the broker takes no message longer than this: longer ones are refused")
	return nil
}

// longestProbe is as long as the longest message that is ever sent, as far as the broker says that it takes it.
func (k *connection) longestProbe() int {
	s := k.s
	most := s.cfg.longest()
	if limit := s.brokers.longest(k.url.Host, s.prover.topic); limit > 0 {
		return min(most, limit)
	}
	return most
}

// tryLength finds out about one length, as a message waits for it.
func (s *Side) tryLength(ctx context.Context, k *connection, n int) error {
	step := s.prover.stepLimit()
	ctx, cancel := context.WithTimeout(ctx, 2*(listenLimit+step+2*session.LineTime(n)))
	defer cancel()
	ok, err := s.longHeard(ctx, k, n, 2, step)
	switch {
	case err != nil:
	case ok:
		s.prover.lengths.heard(k.url.Host, n, time.Now())
		s.log.Info().Str("broker", k.url.Host).Int("bytes", n).Msg("the broker takes longer messages than before")
	default:
		s.prover.lengths.missed(k.url.Host, n, time.Now())
	}
	return err
}

// longHeard tries a probe of a length. A connection that the broker closes over it so many times means that it takes
// no such.
func (s *Side) longHeard(ctx context.Context, k *connection, n, closings int, limit time.Duration) (bool, error) {
	for closed := 0; ; {
		l, err := (*listener)(nil), errBeside
		if k.level == levelBridge || k.level == levelPlain && !s.brokers.single(k.url.Host, time.Now()) {
			l, err = s.beside(ctx, k.url)
		}
		if errors.Is(err, errBeside) && k.hearsItself() {
			return s.longSelf(ctx, k, n, limit)
		}
		if err != nil {
			return false, err
		}
		ok, err := hears(ctx, l, l, s.prover.topic, n, limit)
		if !errors.Is(err, errHungUp) {
			return ok, err
		}
		if closed++; closed == closings {
			return false, s.wellBeside(ctx, k, limit)
		}
	}
}

// wellBeside: after a second login was closed, the next one must hear a small probe. Else it was not the length.
func (s *Side) wellBeside(ctx context.Context, k *connection, limit time.Duration) error {
	l, err := s.beside(ctx, k.url)
	if err != nil {
		return err
	}
	ok, err := hears(ctx, l, l, s.prover.topic, probeLeast, limit)
	if err == nil && !ok {
		err = errDeaf
	}
	return err
}

// closure is how often a broker closed the relay's own connection over a probe, and the shortest such.
type closure struct{ times, length int }

// longSelf tries it on the relay's own connection. If that ends over it, the next one remembers.
func (s *Side) longSelf(ctx context.Context, k *connection, n int, limit time.Duration) (bool, error) {
	host := k.url.Host
	before := s.prover.closed[host]
	if before.times >= 2 && n >= before.length {
		return false, nil
	}
	ok, err := hears(ctx, k, k, s.prover.topic, n, limit)
	if err == nil || ctx.Err() != nil || k.alive() {
		return ok, err
	}
	_, theirs := k.ended(0)
	k.fail(err) // no other message is to blame
	if theirs {
		s.prover.closed[host] = closure{before.times + 1, n}
	}
	return false, err
}

// measureTime bounds a search: each step may take its limit, and the line's time both ways.
func measureTime(most int, limit time.Duration) time.Duration {
	return measureLimit + (lengthSteps+2)*(limit+2*session.LineTime(most))
}

// stepLimit is the time for a step of a search: by the time that a small probe took just before, for where brokers
// are many, or busy, a probe comes well behind the answer to a ping.
func (p *prover) stepLimit() time.Duration { return limitFor(p.took) }

func limitFor(took time.Duration) time.Duration {
	return min(2*probeTimeLimit, max(lengthPause/3, 12*took))
}

var errSearch = errors.New("a length was missed that is heard when it is tried again")

// search halves the range between what is heard and what is not.
func search(most int, try func(n int) (bool, error)) (low, high int, err error) {
	low, high = probeLeast, most
	for range lengthSteps {
		if high-low < 2 {
			break
		}
		middle := (low + high) / 2
		ok, err := try(middle)
		switch {
		case err != nil:
			return 0, 0, err
		case ok:
			low = middle
		default:
			high = middle
		}
	}
	return low, high, nil
}

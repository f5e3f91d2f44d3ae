package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"chatrelay/mqttside/session"
)

// learn finds out, before a CONNECT of our own at a broker, whether it gives side logins sessions of their own, and where we
// go in by MQTT 3.1.1 what it takes. An error: it cannot be reached. It comes before, as a broker that replaces client ids
// ends one login for the other.
func (s *Side) learn(ctx context.Context, u *url.URL) error {
	if s.brokers.asks(u.Host, time.Now()) {
		limits, err := askLimits(ctx, &s.cfg, u)
		s.brokers.left(u.Host, err)
		away, gone := errors.AsType[unreachable](err)
		switch {
		case gone:
			return fmt.Errorf("%s: %w", u.Host, away.error)
		case errors.Is(err, errReplaced):
			s.replaced(u)
		case errors.Is(err, errLogin) && s.brokers.canary(u.Host):
			return fmt.Errorf("%s: %w", u.Host, err)
		case errors.Is(err, errLogin):
			return nil // our own is to be tried
		default:
			s.brokers.noteLimits(u.Host, limits, err, time.Now())
		}
	}
	if s.brokers.sideSafe(u.Host) || s.brokers.replaces(u.Host) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, loginLimit)
	defer cancel()
	t, err := s.sideLogin(ctx, u)
	if err == nil {
		t.end()
	}
	if errors.Is(err, errLogin) && s.brokers.canary(u.Host) {
		return fmt.Errorf("%s: %w", u.Host, err)
	}
	if away, ok := errors.AsType[unreachable](err); ok {
		return fmt.Errorf("%s: %w", u.Host, away.error)
	}
	return nil // errReplaced is remembered; a refusal of this one says nothing of our own
}

// canaries is how many refused side logins in a row are taken for the refusal of our own.
const canaries = 3

// canary tells whether a refused side login is to be taken for the refusal of our own: the last one was refused, and
// many wrong passwords would lock us out. Now and then our own is tried nevertheless.
func (b *brokers) canary(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	if !at.refusedUs || at.canaries >= canaries {
		at.canaries = 0
		return false
	}
	at.canaries++
	return true
}

// askLimits asks by MQTT 5, beside the relay, what a broker takes: MQTT 3.1.1 does not tell. Above its in-flight limit
// Mosquitto loses QoS 2 messages that it has acknowledged, and every resent packet counts: a window of 10 is too much for a
// limit below 20.
func askLimits(ctx context.Context, cfg *Config, u *url.URL) (session.Limits, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	id := sideID(cfg)
	t, err := loginBeside(ctx, cfg, u, client{id: id}, level5)
	if err != nil {
		return session.Limits{}, mayLeave(id, err)
	}
	defer t.end()
	if t.conn.Present {
		return session.Limits{}, errReplaced
	}
	t.temporary = true
	return t.conn.Limits, nil
}

// asks tells whether to ask a broker what it takes.
func (b *brokers) asks(host string, now time.Time) bool {
	if b.level(host, now) == level5 {
		return false // our own login tells
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	return !at.replaced && !(at.silent5 >= muteLimit && now.Sub(at.asked5) < factAge)
}

// noteLimits notes what a broker has answered to that. One that has not is asked again soon, but not for ever: it may not know
// MQTT 5. What it told once counts on.
func (b *brokers) noteLimits(host string, l session.Limits, err error, now time.Time) {
	if err == nil {
		b.setSafe(host)
		b.setLimits(host, l, now)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	switch at.asked5 = now; {
	case err == nil:
		at.silent5 = 0
	case errors.Is(err, errLevel):
		at.silent5 = muteLimit
	case !errors.As(err, new(refused)):
		at.silent5++
	}
}

// sayExpiry says once that a broker does not keep the session for as long as it is asked to.
func (s *Side) sayExpiry(k *connection) {
	if kept := k.conn.Limits.Expiry; kept != nil && *kept < s.cfg.SessionExpiry && s.brokers.saysExpiry(k.url.Host) {
		s.log.Warn().Str("broker", k.url.Host).Stringer("kept", *kept).
			Str("fix", "raise it at the broker: what waits there for a relay that is away longer is gone").
			Msg("the broker keeps the session for less than CHATRELAY_MQTT_SESSION_EXPIRY")
	}
}

func (b *brokers) saysExpiry(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	before := at.warnedExpiry
	at.warnedExpiry = true
	return !before
}

const probeTimeout = 2 * time.Second // for a look beside the connection

package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// canaries is how many refused side logins in a row are taken for the refusal of our own.
const canaries = 3

// learn asks a broker, before each CONNECT of our own, what it takes, and whether it gives side logins sessions of
// their own. Above its in-flight limit Mosquitto loses QoS 2 messages it has acknowledged, and every resent packet
// counts, so the window is at most half of it. An error: it cannot be reached. All else is not fatal.
//
// It comes before our CONNECT, as a broker that replaces client ids ends one login for the other.
func (s *Side) learn(ctx context.Context, u *url.URL) error {
	var got limits
	var err error
	asks := s.brokers.asks(u.Host, time.Now())
	if asks {
		got, err = askLimits(ctx, &s.cfg, u)
		s.brokers.asked(u.Host, err)
		s.brokers.left(u.Host, err)
	}
	var away unreachable
	var refusal refusal5
	switch {
	case errors.As(err, &away):
		return fmt.Errorf("%s: %w", u.Host, away.error)
	case errors.Is(err, errReplaced):
		s.replaced(u)
	case errors.As(err, &refusal) && refusal.login() && s.brokers.canary(u.Host):
		return fmt.Errorf("%s: %w", u.Host, errLogin)
	case err == nil && got.receive > 0:
		s.brokers.setSafe(u.Host)
	}
	s.brokers.setLimits(u.Host, got, time.Now())
	if version := errors.As(err, &refusal) && refusal.version(); version || !asks {
		return s.trySide(ctx, u)
	}
	return nil
}

// trySide finds out by MQTT 3.1.1 whether side logins are safe, once.
func (s *Side) trySide(ctx context.Context, u *url.URL) error {
	if s.brokers.sideSafe(u.Host) || s.brokers.replaces(u.Host) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, loginLimit)
	defer cancel()
	t, err := s.sideLogin(ctx, u)
	if err == nil {
		t.end()
	}
	if away := (unreachable{}); errors.As(err, &away) {
		return fmt.Errorf("%s: %w", u.Host, away.error)
	}
	return nil // errReplaced is remembered; a refusal of this one says nothing of our own
}

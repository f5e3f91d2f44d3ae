package mqttside

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"chatrelay/mqttside/session"
)

// mostLeft bounds the list of sessions that are to be removed.
const mostLeft = 1000

// leftSession: a side login under a client id of its own got no answer in time, and its session may be at the broker. It
// never expires there: the broker answers late, and nobody hears it.
type leftSession struct {
	id  string
	err error
}

func (l leftSession) Error() string { return l.err.Error() }
func (l leftSession) Unwrap() error { return l.err }

// mayLeave is for a login that failed: one that the broker has not seen, or refused, leaves nothing.
func mayLeave(id string, err error) error {
	if errors.As(err, new(unreachable)) || errors.As(err, new(refused)) {
		return err
	}
	return leftSession{id, err}
}

// removeSession removes the session of a client id that was a side login's. It is not to be called where client ids are
// replaced: it would remove the relay's own.
func removeSession(ctx context.Context, cfg *Config, u *url.URL, id string, level session.Level) error {
	ctx, cancel := context.WithTimeout(ctx, loginLimit)
	defer cancel()
	t, err := loginBeside(ctx, cfg, u, client{id: id, clean: true}, level)
	if err == nil {
		t.end()
	}
	return err
}

// left notes that a side login may have left its session behind.
func (b *brokers) left(host string, err error) {
	var l leftSession
	if !errors.As(err, &l) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := b.of(host); len(at.leftIDs) < mostLeft {
		at.leftIDs = append(at.leftIDs, l.id)
	}
}

// toRemove is one that is left at a broker where it is safe to remove it; empty: none.
func (b *brokers) toRemove(host string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := b.of(host); at.safe && !at.replaced && len(at.leftIDs) > 0 {
		return at.leftIDs[0]
	}
	return ""
}

func (b *brokers) removed(host, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	at.leftIDs = slices.DeleteFunc(at.leftIDs, func(x string) bool { return x == id })
}

// removeLeft removes what side logins have left at a broker. One that fails is tried again after the next login.
func (s *Side) removeLeft(ctx context.Context, u *url.URL) {
	for id := s.brokers.toRemove(u.Host); id != ""; id = s.brokers.toRemove(u.Host) {
		if err := removeSession(ctx, &s.cfg, u, id, s.brokers.sideLevel(u.Host)); err != nil {
			s.log.Debug().Err(err).Str("broker", u.Host).Msg("a session of a side login could not be removed")
			return
		}
		s.brokers.removed(u.Host, id)
	}
}

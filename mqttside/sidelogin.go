package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"chatrelay/mqttside/session"
)

// loginLimit is for one that is made only to see whether it comes about.
const loginLimit = 5 * time.Second

// errReplaced: the broker puts an id of its own in the place of ours, as Mosquitto does with
// use_username_as_clientid. Whoever logs in with our user name then gets the session of the relay.
var errReplaced = errors.New("the broker replaces client ids (Mosquitto: use_username_as_clientid), so nothing logs in beside the relay")

// sideLogin logs in to a broker beside the relay, with a session that ends with the connection. It never wipes or shortens
// the session of the relay: first it asks, under an id that never was, whether there is a session of that id. There can be
// none, unless ids are replaced; then it is the relay's, and is left alone (errReplaced).
func sideLogin(ctx context.Context, cfg *Config, u *url.URL, level session.Level) (*sideConnection, error) {
	id := sideID(cfg)
	asked, err := loginBeside(ctx, cfg, u, client{id: id}, level)
	switch {
	case err != nil:
		return nil, mayLeave(id, err)
	case asked.conn.Present:
		asked.end()
		return nil, errReplaced
	}
	asked.temporary = true
	asked.end()
	t, err := loginBeside(ctx, cfg, u, client{id: id, clean: true}, level) // removes what asked has left
	if err != nil {
		return nil, leftSession{id, err}
	}
	t.kept = asked.conn.Limits.Expiry
	return t, nil
}

// sideLevel is that of side logins at a broker: they need no bridge bit. What is proven counts for them however long ago that
// was: a better level is tried by the relay's own login only.
func (b *brokers) sideLevel(host string) session.Level {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	level := at.facts.level
	if at.trying != 0 {
		level = at.trying
	}
	if !slices.Contains(b.levels, level) { // none is proven, or another setting allowed it
		level = b.levels[0]
	}
	if level == level5 {
		return level5
	}
	return levelPlain
}

// sideID is a client id that never was: no broker has a session of it. Within 23 bytes for the default id, as every
// broker must take (MQTT-3.1.3-5).
func sideID(cfg *Config) string {
	never := newNonce()
	return fmt.Sprintf("%s-%x", cfg.ClientID, never[:6])
}

// sideLogin is sideLogin where it disturbs nobody. It may be called from several goroutines.
func (s *Side) sideLogin(ctx context.Context, u *url.URL) (*sideConnection, error) {
	if s.brokers.replaces(u.Host) {
		return nil, errReplaced
	}
	t, err := sideLogin(ctx, &s.cfg, u, s.brokers.sideLevel(u.Host))
	s.brokers.left(u.Host, err)
	switch {
	case err == nil:
		s.brokers.setSafe(u.Host)
	case errors.Is(err, errReplaced):
		s.replaced(u)
	}
	return t, err
}

// replaced remembers, for good, that no side login is to be made.
func (s *Side) replaced(u *url.URL) {
	if s.brokers.setReplaced(u.Host) {
		s.log.Warn().Str("broker", u.Host).Str("fix", "take use_username_as_clientid out of the broker's configuration").
			Msg("the broker replaces client ids: nothing logs in beside the relay, so another relay is not noticed")
	}
}

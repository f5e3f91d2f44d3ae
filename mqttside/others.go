package mqttside

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"chatrelay/mqttside/session"
)

// othersEvery is how often the status topics are looked at, at most: after a login. A relay that starts later looks
// itself.
const othersEvery = time.Hour

// lookForOthers says, once, that another relay serves our inboxes. With a client id of its own it gets every message as
// well, and each is delivered twice. It ends after a second or two.
func (s *Side) lookForOthers(ctx context.Context, u *url.URL) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	t, err := s.sideLogin(ctx, u)
	if err != nil {
		return // nothing is known: the next login tries again
	}
	defer t.end()
	for _, filter := range statusFilters(&s.cfg) {
		if _, err := t.conn.Subscribe(session.Filter{Topic: filter, QoS: 1}); err != nil {
			return
		}
	}
	for {
		p, err := t.next() // retained ones come at once; those who log in meanwhile count, too
		if err != nil {
			return
		}
		var other presence
		if json.Unmarshal(p.Payload, &other) == nil && s.rival(other) {
			s.log.Error().Str("topic", p.Topic).Str("clientId", other.ClientID).
				Str("fix", "stop one of them: one relay per account and topic prefix").
				Msg("another relay is online for the same topic prefix: every message is delivered twice")
			return
		}
	}
}

// rival tells whether a status is that of another relay for our inboxes. One with our client id is another matter: the
// broker keeps only one of us connected.
func (s *Side) rival(p presence) bool {
	return p.Status == "online" && p.Prefix == s.cfg.Prefix && p.Instance != s.instance && p.ClientID != s.cfg.ClientID
}

// statusFilters is where relays say that they are there: as we do, with any client id, and as they do by default.
func statusFilters(cfg *Config) []string {
	const usual = "chatrelay/+/status"
	levels := strings.Split(cfg.StatusTopic, "/")
	for i, level := range levels {
		if level == cfg.ClientID {
			levels[i] = "+"
		}
	}
	own := strings.Join(levels, "/")
	if own == "" || own == usual {
		return []string{usual}
	}
	return []string{own, usual}
}

package mqttside

import (
	"context"
	"net/url"
	"time"

	"chatrelay/mqttside/session"
)

// checkSession finds out whether the broker still has the session that the journal knows, after a CONNECT without an answer.
// Behind a load balancer that is what every restart of a broker looks like, and to publish again what is
// released would double it each time. It logs in to the session, lets a message of its own come in by the
// session's subscription, and leaves; what else the broker sends stays unacknowledged, and comes again.
// The message is a probe, which no relay passes on.
func (s *Side) checkSession(ctx context.Context, u *url.URL) session.State {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	ours, err := loginBeside(ctx, &s.cfg, u, client{id: s.cfg.ClientID}, s.brokers.level(u.Host, time.Now()))
	if err != nil {
		return session.StateUnknown
	}
	defer ours.end()
	if !ours.conn.Present {
		return session.StateGone // and a new one has begun just now
	}
	other, err := s.sideLogin(ctx, u)
	if err != nil {
		return session.StateUnknown
	}
	defer other.end()
	nonce := newNonce()
	if err := other.conn.Publish(s.prover.topic, probeBody(nonce, 0), false); err != nil {
		return session.StateUnknown
	}
	for {
		p, err := ours.next()
		if err != nil {
			return session.StateUnknown
		}
		if p.Topic == s.prover.topic && string(p.Payload) == string(probeBody(nonce, 0)) {
			return session.StatePresent
		}
	}
}

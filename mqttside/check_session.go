package mqttside

import (
	"context"
	"net/url"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// checkSession finds out whether the broker still has the session that the journal knows, after a CONNECT without an answer.
// Behind a load balancer that is what every restart of a broker looks like, and to publish again what is
// released would double it each time. It logs in to the session, lets a message of its own come in by the
// session's subscription, and leaves; what else the broker sends stays unacknowledged, and comes again.
// The message is a probe, which no relay passes on.
func (s *Side) checkSession(ctx context.Context, u *url.URL) fate {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	ours, err := greet(ctx, &s.cfg, u, session{id: s.cfg.ClientID}, byte(s.brokers.level(u.Host, time.Now())))
	if err != nil {
		return unsure
	}
	defer ours.end()
	if !ours.present {
		return lost // and a new one has begun just now
	}
	other, err := s.sideLogin(ctx, u)
	if err != nil {
		return unsure
	}
	defer other.end()
	mark := newNonce()
	if err := other.publish(s.prover.topic, probeBody(mark, 0)); err != nil {
		return unsure
	}
	for {
		p, err := ours.until(packets.Publish)
		if err != nil {
			return unsure
		}
		if m := p.(*packets.PublishPacket); m.TopicName == s.prover.topic && string(m.Payload) == string(probeBody(mark, 0)) {
			return kept
		}
	}
}

package mqttside

import (
	"errors"

	"chatrelay/bridge"
	"chatrelay/mqttside/session"
)

// deathsMost is how many connections in a row may end over one message before it is set aside.
const deathsMost = 5

// poison is the search for a message that the broker answers by closing the connection, as Mosquitto does beyond
// its max_packet_size. A resumption sends it again first of all, for ever, and everything behind it would wait.
type poison struct {
	ref    bridge.Ref
	deaths int // of connections in a row that ended soon and did not get this one acknowledged
}

// otherwise tells whether the broker says, by MQTT 5, that it ends the connection for something else than a message.
func otherwise(why error) bool {
	e, _ := errors.AsType[session.Ended](why)
	switch e.Code {
	case session.CodeUnavailable, session.CodeBusy, session.CodeShutdown, session.CodeKeepAlive, session.CodeTakenOver, session.CodeRateTooHigh,
		session.CodeQuota, session.CodeAdministrative, session.CodeOtherServer, session.CodeMoved, session.CodeRate, session.CodeConnectTime,
		session.CodeIDInUse: // of another message
		return true
	}
	return false
}

// blame looks at how a connection ended: what was sent and acknowledged before the culprit has left the outbox,
// so the culprit is the oldest there, and stays it.
// true: the culprit is set aside.
func (p *poison) blame(k *connection, s *Side) bool {
	quick, theirs := k.ended(stableAfter)
	if quick && (!theirs || otherwise(k.conn.Reason())) {
		return false // it says nothing about any message
	}
	tag, ok := s.session.Oldest()
	if !quick || !ok {
		*p = poison{}
		return false
	}
	front := tag.(handle).ref
	if front != p.ref {
		*p = poison{ref: front}
	}
	if p.deaths++; p.deaths < deathsMost {
		return false
	}
	s.log.Error().Stringer("ref", front).Int("connections", p.deaths).
		Msg("the broker closes the connection over this message: it is set aside as dead (is it larger than the broker's max_packet_size?)")
	if len(s.session.Withdraw(func(m session.Message) bool { return m.Tag == tag })) > 0 {
		s.journal.Settle(bridge.Result{Ref: front, Err: bridge.Refuse("poison", "the MQTT broker closes the connection over this message")})
	}
	s.changed.Wake()
	*p = poison{}
	return true
}

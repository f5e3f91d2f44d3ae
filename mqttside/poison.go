package mqttside

import (
	"github.com/rs/zerolog"

	"chatrelay/bridge"
)

// deathsMost is how many connections in a row may end over one message before it is set aside.
const deathsMost = 5

// poison is the search for a message that the broker answers by closing the connection, as Mosquitto does beyond
// its max_packet_size. A resumption sends it again first of all, for ever, and everything behind it would wait.
type poison struct {
	ref    bridge.Ref
	deaths int // of connections in a row that ended soon and did not get this one acknowledged
}

// blame looks at how a connection ended: what was sent and acknowledged before the culprit has left the outbox,
// so the culprit is the oldest there, and stays it.
// true: the culprit is set aside.
func (p *poison) blame(k *link, o *outbox, log zerolog.Logger) bool {
	quick, theirs := k.ended(provenLife)
	if quick && !theirs {
		return false // it says nothing about any message
	}
	front, ok := o.front()
	if !quick || !ok {
		*p = poison{}
		return false
	}
	if front != p.ref {
		*p = poison{ref: front}
	}
	if p.deaths++; p.deaths < deathsMost {
		return false
	}
	log.Error().Stringer("ref", front).Int("connections", p.deaths).
		Msg("the broker closes the connection over this message: it is set aside as dead (is it larger than the broker's max_packet_size?)")
	o.bury(front, bridge.Refuse("poison", "the MQTT broker closes the connection over this message"))
	*p = poison{}
	return true
}

// front is the oldest leg, if the broker may have got it and has not acknowledged it in any way.
func (o *outbox) front() (bridge.Ref, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.ordered()
	if len(all) == 0 || !all[0].written || all[0].phase != published {
		return bridge.Ref{}, false
	}
	return all[0].Ref, true
}

// bury takes a leg out for good, between connections.
func (o *outbox) bury(ref bridge.Ref, why *bridge.Refusal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.legs {
		if l.Ref == ref && o.link == nil {
			o.remove(l)
			o.journal.Settle(bridge.Result{Ref: ref, Err: why})
		}
	}
	o.changed.Wake()
}

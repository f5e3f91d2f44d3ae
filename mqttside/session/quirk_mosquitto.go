package session

import "time"

// holdLimit is how long a message may stand first in line while others behind it are ended. A broker that is well
// releases what it has sent.
const holdLimit = 10 * time.Second

// ackOrder puts the packets that end a message (PUBACK, PUBCOMP) in the order in which the messages came. MQTT asks for
// order within a level only (MQTT-4.6.0-2 to -4), and PUBACK takes one way where PUBCOMP takes three. But where one of
// the last of many in flight is ended first, Mosquitto 2.0.11 sends what comes next ahead of what waits, so one who
// publishes at QoS 1 would have the messages of all others mixed up. Seen (docs/decisions/0010); no issue is known. Tests:
// TestEndsInOrder, TestAckOrder.
type ackOrder struct {
	line  []*incoming          // in order of arrival
	open  map[uint16]*incoming // those of the line that are not ended, by packet id
	moved time.Time            // when the line got another first
}

type incoming struct {
	id    uint16
	ended bool
	kind  byte // of the packet that ends it
}

// await: a message has come, or the PUBREL of one that came over an earlier connection.
func (o *ackOrder) await(id uint16, now time.Time) {
	if o.open[id] != nil {
		return
	}
	if o.open == nil {
		o.open = map[uint16]*incoming{}
	}
	if len(o.line) == 0 {
		o.moved = now
	}
	x := &incoming{id: id}
	o.line = append(o.line, x)
	o.open[id] = x
}

// end takes the kind of packet that ends a message. It returns all packets whose turn it is.
func (o *ackOrder) end(kind byte, id uint16, now time.Time) []packet {
	x := o.open[id]
	if x == nil {
		return []packet{{kind: kind, id: id}}
	}
	x.ended, x.kind = true, kind
	delete(o.open, id)
	return o.ready(now)
}

// ready takes what is ended at the head of the line.
func (o *ackOrder) ready(now time.Time) (out []packet) {
	for len(o.line) > 0 && o.line[0].ended {
		out = append(out, packet{kind: o.line[0].kind, id: o.line[0].id})
		o.line, o.moved = o.line[1:], now
	}
	return out
}

// holds tells whether a packet waits for its turn.
func (o *ackOrder) holds() bool { return len(o.line) > len(o.open) }

// skipStalled no longer waits for the first in line, if that holds up others for too long. It returns what waited for it.
func (o *ackOrder) skipStalled(now time.Time) []packet {
	if !o.holds() || now.Sub(o.moved) <= holdLimit {
		return nil
	}
	delete(o.open, o.line[0].id)
	o.line, o.moved = o.line[1:], now
	return o.ready(now)
}

package mqttside

import (
	"encoding/binary"
	"slices"
	"time"
)

// holdLimit is how long a message may stand first in line while others behind it are ended. A broker that is well
// releases what it has sent.
const holdLimit = 10 * time.Second

// turns puts the packets that end a message (PUBACK, PUBCOMP) in the order in which the messages came. MQTT asks for
// order within a level only (MQTT-4.6.0-2 to -4), and PUBACK takes one way where PUBCOMP takes three. But where one of
// the last of many in flight is ended first, Mosquitto 2.0.11 sends what comes next ahead of what waits, so one who
// publishes at QoS 1 would have the messages of all others mixed up. Seen (docs/decisions/0010); no issue is known. Tests:
// TestEndsInOrder, TestTurns.
type turns struct {
	line  []*turn          // in order of arrival
	open  map[uint16]*turn // those of the line that paho has not ended, by packet id
	moved time.Time        // when the line got another first
}

type turn struct {
	id  uint16
	end []byte // empty while open
}

// await: a message has come, or the PUBREL of one that came over an earlier connection.
func (t *turns) await(id uint16, now time.Time) {
	if t.open[id] != nil {
		return
	}
	if t.open == nil {
		t.open = map[uint16]*turn{}
	}
	if len(t.line) == 0 {
		t.moved = now
	}
	x := &turn{id: id}
	t.line = append(t.line, x)
	t.open[id] = x
}

// end takes the packet that ends a message. It returns all packets whose turn it is.
func (t *turns) end(packet []byte, now time.Time) [][]byte {
	id := binary.BigEndian.Uint16(packet[2:])
	x := t.open[id]
	if x == nil {
		return [][]byte{packet}
	}
	x.end = slices.Clone(packet)
	delete(t.open, id)
	return t.ready(now)
}

// ready takes what is ended at the head of the line.
func (t *turns) ready(now time.Time) (out [][]byte) {
	for len(t.line) > 0 && t.line[0].end != nil {
		out = append(out, t.line[0].end)
		t.line, t.moved = t.line[1:], now
	}
	return out
}

// holds tells whether a packet waits for its turn.
func (t *turns) holds() bool { return len(t.line) > len(t.open) }

// skipStalled no longer waits for the first in line, if that holds up others for too long. It returns what waited for it.
func (t *turns) skipStalled(now time.Time) [][]byte {
	if !t.holds() || now.Sub(t.moved) <= holdLimit {
		return nil
	}
	delete(t.open, t.line[0].id)
	t.line, t.moved = t.line[1:], now
	return t.ready(now)
}

package mqttside

import (
	"encoding/binary"
	"slices"
	"time"
)

// holdLimit is how long a packet waits for its turn. A broker that is well ends its handshakes at once.
const holdLimit = 2 * time.Second

// turns puts the packets that end a message (PUBACK, PUBCOMP) in the order in which the messages came. MQTT asks for
// order within a level only (MQTT-4.6.0-2 to -4), and PUBACK takes one way where PUBCOMP takes three. But where one of
// the last of many in flight is ended first, Mosquitto 2.0.11 sends what comes next ahead of what waits, so one who
// publishes at QoS 1 would have the messages of all others mixed up.
type turns []turn

// turn is a message that has come; end is empty until paho has ended it.
type turn struct {
	id  uint16
	end []byte
	at  time.Time // of end
}

// await: a message has come.
func (t *turns) await(id uint16) { *t = append(*t, turn{id: id}) }

// end takes the packet that ends a message. It returns all packets whose turn it is. What came before the connection
// waits for nothing.
func (t *turns) end(packet []byte, now time.Time) (out [][]byte) {
	id := binary.BigEndian.Uint16(packet[2:])
	n := slices.IndexFunc(*t, func(x turn) bool { return x.id == id && x.end == nil })
	if n < 0 {
		return [][]byte{packet}
	}
	(*t)[n].end, (*t)[n].at = slices.Clone(packet), now
	return t.take(slices.IndexFunc(*t, func(x turn) bool { return x.end == nil }))
}

// late is what has waited for too long, with all that was to come before it.
func (t *turns) late(now time.Time) [][]byte {
	for n, x := range slices.Backward(*t) {
		if x.end != nil && now.Sub(x.at) > holdLimit {
			return t.take(n + 1)
		}
	}
	return nil
}

// take removes the first n turns, all if there are fewer than none, and returns the packets.
func (t *turns) take(n int) (out [][]byte) {
	if n < 0 {
		n = len(*t)
	}
	for _, x := range (*t)[:n] {
		if x.end != nil {
			out = append(out, x.end)
		}
	}
	*t = (*t)[n:]
	return out
}

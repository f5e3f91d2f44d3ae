package session

import "fmt"

// Kinds of control packets (MQTT-2.2.1).
const (
	kindConnect     = 1
	kindConnack     = 2
	kindPublish     = 3
	kindPuback      = 4
	kindPubrec      = 5
	kindPubrel      = 6
	kindPubcomp     = 7
	kindSubscribe   = 8
	kindSuback      = 9
	kindUnsubscribe = 10
	kindUnsuback    = 11
	kindPingreq     = 12
	kindPingresp    = 13
	kindDisconnect  = 14
)

// longestAnswer is of anything that a broker sends but a PUBLISH.
const longestAnswer = 1 << 10

// Publish is a message as it is on the wire.
type Publish struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Dup      bool
	Retain   bool
	PacketID uint16 // 0 at QoS 0
}

// packet is one control packet. Which fields count depends on its kind.
type packet struct {
	kind byte
	Publish
	id      uint16 // of all but PUBLISH
	code    byte   // of CONNACK
	present bool   // of CONNACK
	codes   []byte // of SUBACK
	filter  string // of SUBSCRIBE, at its QoS, and of UNSUBSCRIBE
	login   *Options
}

// codec writes and reads the packets of one protocol level. It has no state.
type codec interface {
	// append writes a packet behind b.
	append(b []byte, p *packet) []byte
	// parse reads what stands behind a fixed header, whose first byte is given. The packet may keep body.
	parse(first byte, body []byte) (packet, error)
}

// Breach is what no broker may do.
type Breach string

func breachf(format string, args ...any) error { return Breach(fmt.Sprintf(format, args...)) }

func (b Breach) Error() string { return "the broker breaks MQTT: " + string(b) }

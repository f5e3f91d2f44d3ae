package session

import (
	"fmt"
	"time"
)

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

// Publish is a message as it is on the wire.
type Publish struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Dup      bool
	Retain   bool
	PacketID uint16 // 0 at QoS 0
	// Expiry is how long the message is worth anything, as its publisher says (MQTT 5, 3.3.2.3.3); nil: for ever.
	Expiry *time.Duration
}

// Limits is what a broker says that it takes (MQTT 5, 3.2.2.3). MQTT 3.1.1 does not tell.
type Limits struct {
	Receive  int  // QoS 1 and 2 publishes in flight; 0: unknown
	Packet   int  // bytes of the longest packet; 0: any, or unknown
	QoS      byte // the highest; 0: unknown, or none
	NoRetain bool // it keeps no message
	// Expiry is how long it keeps the session; nil: as it was asked.
	Expiry *time.Duration
}

// Filter is what is subscribed to.
type Filter struct {
	Topic string
	QoS   byte
	// By MQTT 5 only (3.8.3.1).
	NoLocal    bool // not what we publish ourselves
	NoRetained bool // nothing that is retained
}

// packet is one control packet. Which fields count depends on its kind.
type packet struct {
	kind byte
	Publish
	id     uint16 // of all but PUBLISH
	code   byte   // of CONNACK; by MQTT 5 of answers and DISCONNECT, too
	reason string // what the broker says to it (MQTT 5, 2.2.2.2, Reason String)
	codes  []byte // of SUBACK
	filter Filter // of SUBSCRIBE and UNSUBSCRIBE
	login  *Options
	// of CONNACK
	present   bool
	limits    Limits
	keepAlive time.Duration // that the broker wants; 0: ours
	// end, of DISCONNECT: the session ends with the connection.
	end bool
}

// codec writes and reads the packets of one protocol level. It has no state.
type codec interface {
	// append writes a packet behind b.
	append(b []byte, p *packet) []byte
	// parse reads what stands behind a fixed header, whose first byte is given. The packet may keep body.
	parse(first byte, body []byte) (packet, error)
	// longest is of anything that a broker sends but a PUBLISH.
	longest() int
}

// Breach is what no broker may do.
type Breach string

func breachf(format string, args ...any) error { return Breach(fmt.Sprintf(format, args...)) }

func (b Breach) Error() string { return "the broker breaks MQTT: " + string(b) }

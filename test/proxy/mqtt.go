package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Verdict says what becomes of a packet.
type Verdict int

// Verdicts.
const (
	Pass      Verdict = iota
	Drop              // it vanishes, the connection stays
	CutBefore         // it vanishes, and the connection with it
	CutAfter          // it arrives, then the connection is cut
)

// MQTT control packet types (MQTT-2.2.1).
const (
	CONNECT     = 1
	CONNACK     = 2
	PUBLISH     = 3
	PUBACK      = 4
	PUBREC      = 5
	PUBREL      = 6
	PUBCOMP     = 7
	SUBSCRIBE   = 8
	SUBACK      = 9
	UNSUBSCRIBE = 10
	UNSUBACK    = 11
	PINGREQ     = 12
	PINGRESP    = 13
	DISCONNECT  = 14
)

// Packet is one MQTT packet on its way.
type Packet struct {
	Conn  int // number of the connection, from 1
	Dir   Direction
	Type  byte
	Flags byte
	ID    uint16 // 0 where the packet has none

	Topic   string // of a PUBLISH
	Payload []byte // of a PUBLISH, without the properties of MQTT 5
	Raw     []byte // all of it
}

// QoS is that of a PUBLISH.
func (p Packet) QoS() byte { return p.Flags >> 1 & 3 }

// Dup tells whether a PUBLISH says that it is a repetition.
func (p Packet) Dup() bool { return p.Flags&8 != 0 }

var errPacket = errors.New("proxy: malformed MQTT packet")

// packets reads packets and asks the filter about each. What is no MQTT ends the connection.
func (l *link) packets(d Direction, r *bufio.Reader) func() ([]byte, Verdict, error) {
	return func() ([]byte, Verdict, error) {
		raw, body, err := readPacket(r)
		if err != nil {
			return nil, Drop, err
		}
		if d == Up && raw[0]>>4 == CONNECT && len(raw) > body+6 { // MQTT-3.1.2.2: behind the name
			l.five.Store(raw[body+6] == 5)
		}
		p := parse(raw, body, l.five.Load())
		p.Conn, p.Dir = l.n, d
		return raw, l.p.filter(p), nil
	}
}

// readPacket reads one packet; body is where the variable header starts.
func readPacket(r *bufio.Reader) (raw []byte, body int, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, 0, err
	}
	raw = []byte{first}
	length, shift := 0, 0
	for { // MQTT-2.2.3: at most four bytes
		b, err := r.ReadByte()
		if err != nil {
			return nil, 0, err
		}
		raw = append(raw, b)
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if shift += 7; shift > 21 {
			return nil, 0, errPacket
		}
	}
	body = len(raw)
	raw = append(raw, make([]byte, length)...)
	_, err = io.ReadFull(r, raw[body:])
	return raw, body, err
}

func parse(raw []byte, body int, five bool) Packet {
	p := Packet{Type: raw[0] >> 4, Flags: raw[0] & 15, Raw: raw}
	rest := raw[body:]
	switch p.Type {
	case PUBLISH:
		if len(rest) < 2 {
			return p
		}
		n := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; len(rest) < n {
			return p
		}
		p.Topic, rest = string(rest[:n]), rest[n:]
		if p.QoS() > 0 && len(rest) >= 2 {
			p.ID, rest = binary.BigEndian.Uint16(rest), rest[2:]
		}
		if size, n := binary.Uvarint(rest); five && n > 0 && size <= uint64(len(rest)-n) { // MQTT 5, 2.2.2
			rest = rest[n+int(size):]
		}
		p.Payload = rest
	case PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK:
		if len(rest) >= 2 {
			p.ID = binary.BigEndian.Uint16(rest)
		}
	}
	return p
}

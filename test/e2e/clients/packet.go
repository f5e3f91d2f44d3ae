package clients

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// MQTT 3.1.1 packet types with the flags they always have (MQTT-2.2.2).
const (
	pktConnect    = 0x10
	pktConnack    = 0x20
	pktPublish    = 0x30
	pktPuback     = 0x40
	pktPubrec     = 0x50
	pktPubrel     = 0x62
	pktPubcomp    = 0x70
	pktSubscribe  = 0x82
	pktSuback     = 0x90
	pktPingreq    = 0xC0
	pktPingresp   = 0xD0
	pktDisconnect = 0xE0
)

var errMalformed = errors.New("clients: malformed MQTT packet")

// publication is a PUBLISH.
type publication struct {
	topic   string
	payload []byte
	qos     byte
	retain  bool
	id      uint16
}

func packet(first byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := []byte{first}
	for rest := n; ; {
		b := byte(rest & 0x7f)
		if rest >>= 7; rest > 0 {
			b |= 0x80
		}
		out = append(out, b)
		if rest == 0 {
			break
		}
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func u16(n uint16) []byte  { return binary.BigEndian.AppendUint16(nil, n) }
func text(s string) []byte { return append(u16(uint16(len(s))), s...) }
func flag(on bool, f byte) byte {
	if on {
		return f
	}
	return 0
}

func (p publication) packet(dup bool) []byte {
	first := pktPublish | flag(dup, 8) | p.qos<<1 | flag(p.retain, 1)
	if p.qos == 0 {
		return packet(first, text(p.topic), p.payload)
	}
	return packet(first, text(p.topic), u16(p.id), p.payload)
}

func readPacket(r *bufio.Reader) (first byte, body []byte, err error) {
	if first, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	length := 0
	for shift := 0; ; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if shift == 21 {
			return 0, nil, errMalformed
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return first, body, err
}

func parsePublication(first byte, body []byte) (publication, error) {
	p := publication{qos: first >> 1 & 3, retain: first&1 != 0}
	if len(body) < 2 {
		return p, errMalformed
	}
	n := int(binary.BigEndian.Uint16(body))
	if body = body[2:]; len(body) < n {
		return p, errMalformed
	}
	p.topic, body = string(body[:n]), body[n:]
	if p.qos > 0 {
		if len(body) < 2 {
			return p, errMalformed
		}
		p.id, body = binary.BigEndian.Uint16(body), body[2:]
	}
	p.payload = body
	return p, nil
}

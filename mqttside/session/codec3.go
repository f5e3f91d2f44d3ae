package session

import (
	"bytes"
	"encoding/binary"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// codec3 is MQTT 3.1.1. PUBLISH and what answers it are most of all packets: they are written and read here, and held
// equal to the library by a fuzz test.
type codec3 struct{}

func (codec3) append(b []byte, p *packet) []byte {
	switch p.kind {
	case kindPublish:
		return appendPublish(b, &p.Publish)
	case kindPuback, kindPubrec, kindPubcomp:
		return append(b, p.kind<<4, 2, byte(p.id>>8), byte(p.id))
	case kindPubrel: // MQTT-3.6.1-1
		return append(b, p.kind<<4|2, 2, byte(p.id>>8), byte(p.id))
	case kindPingreq, kindDisconnect:
		return append(b, p.kind<<4, 0)
	}
	w := bytes.NewBuffer(b)
	_ = library3(p).Write(w) // a buffer takes all
	return w.Bytes()
}

// library3 is a rare packet as the library has it.
func library3(p *packet) packets.ControlPacket {
	out := packets.NewControlPacket(p.kind)
	switch out := out.(type) {
	case *packets.ConnectPacket:
		o := p.login
		out.ProtocolName, out.ProtocolVersion = "MQTT", byte(o.Level)
		out.CleanSession, out.ClientIdentifier = o.CleanStart, o.ClientID
		out.Keepalive = uint16(KeepAlive.Seconds())
		out.UsernameFlag, out.Username = o.Username != "", o.Username
		out.PasswordFlag, out.Password = o.Username != "" && o.Password != "", []byte(o.Password)
		if w := o.Will; w != nil {
			out.WillFlag, out.WillTopic, out.WillMessage = true, w.Topic, w.Payload
			out.WillQos, out.WillRetain = w.QoS, w.Retain
		}
	case *packets.SubscribePacket:
		out.MessageID, out.Topics, out.Qoss = p.id, []string{p.filter}, []byte{p.QoS}
	case *packets.UnsubscribePacket:
		out.MessageID, out.Topics = p.id, []string{p.filter}
	}
	return out
}

// appendPublish writes a PUBLISH (MQTT-3.3).
func appendPublish(b []byte, p *Publish) []byte {
	length := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		length += 2
	}
	b = append(b, kindPublish<<4|flag(p.Dup)<<3|p.QoS<<1|flag(p.Retain))
	b = binary.AppendUvarint(b, uint64(length))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Topic)))
	b = append(b, p.Topic...)
	if p.QoS > 0 {
		b = binary.BigEndian.AppendUint16(b, p.PacketID)
	}
	return append(b, p.Payload...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (codec3) parse(first byte, body []byte) (packet, error) {
	p := packet{kind: first >> 4}
	switch p.kind {
	case kindPublish:
		var err error
		p.Publish, err = parsePublish(first, body)
		return p, err
	case kindPuback, kindPubrec, kindPubrel, kindPubcomp, kindUnsuback:
		if len(body) != 2 {
			return p, breachf("a malformed packet of type %d", p.kind)
		}
		p.id = binary.BigEndian.Uint16(body)
	case kindConnack:
		// A broker that speaks MQTT 5 only answers with a code, and a length, of its own.
		if len(body) < 2 || len(body) > 2 && body[1] <= packets.ErrRefusedNotAuthorised {
			return p, breachf("a malformed CONNACK")
		}
		p.present, p.code = body[0]&1 != 0, body[1]
	case kindSuback:
		if len(body) != 3 { // one filter was asked for
			return p, breachf("a malformed SUBACK")
		}
		p.id, p.codes = binary.BigEndian.Uint16(body), body[2:]
	}
	return p, nil
}

// parsePublish reads a PUBLISH (MQTT-3.3).
func parsePublish(first byte, body []byte) (p Publish, err error) {
	p.Dup, p.QoS, p.Retain = first&0x08 != 0, first>>1&3, first&1 != 0
	if p.QoS == 3 { // MQTT-3.3.1-4
		return p, breachf("a PUBLISH of QoS 3")
	}
	if len(body) < 2 {
		return p, breachf("a malformed PUBLISH")
	}
	end := 2 + int(binary.BigEndian.Uint16(body))
	rest := end
	if p.QoS > 0 {
		rest += 2
	}
	if len(body) < rest {
		return p, breachf("a malformed PUBLISH")
	}
	p.Topic, p.Payload = string(body[2:end]), body[rest:]
	if p.QoS > 0 {
		if p.PacketID = binary.BigEndian.Uint16(body[end:]); p.PacketID == 0 { // MQTT-2.3.1-1
			return p, breachf("a PUBLISH with the packet id 0")
		}
	}
	return p, nil
}

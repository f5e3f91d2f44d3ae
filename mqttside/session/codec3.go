package session

import (
	"bytes"
	"encoding/binary"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// codec3 is MQTT 3.1.1. PUBLISH and what answers it are most of all packets: they are written and read here, and held
// equal to the library by a fuzz test.
type codec3 struct{}

func (codec3) longest() int { return 1 << 10 }

func (codec3) append(b []byte, p *packet) []byte {
	switch p.kind {
	case kindPublish:
		return appendPublish(b, &p.Publish, false)
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
		out.MessageID, out.Topics, out.Qoss = p.id, []string{p.filter.Topic}, []byte{p.filter.QoS}
	case *packets.UnsubscribePacket:
		out.MessageID, out.Topics = p.id, []string{p.filter.Topic}
	}
	return out
}

func (codec3) parse(first byte, body []byte) (packet, error) {
	p := packet{kind: first >> 4}
	switch p.kind {
	case kindPublish:
		var err error
		p.Publish, err = parsePublish(first, body, false)
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

package session

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

const noMaximum = 65535 // what a CONNACK without Receive Maximum means (MQTT 5, 3.2.2.3.3)

// codec5 is MQTT 5. PUBLISH and what answers it are written and read here where they have no properties, and held equal
// to the library by a fuzz test.
type codec5 struct{}

func (codec5) longest() int { return 64 << 10 } // with a reason, and properties of its user's

func (codec5) append(b []byte, p *packet) []byte {
	switch p.kind {
	case kindPublish:
		return appendPublish(b, &p.Publish, true)
	case kindPuback, kindPubrec, kindPubrel, kindPubcomp: // all is well: the code may be left out (MQTT 5, 3.4.2.1)
		return codec3{}.append(b, p)
	case kindPingreq:
		return append(b, p.kind<<4, 0)
	}
	w := bytes.NewBuffer(b)
	_, _ = library5(p).WriteTo(w) // a buffer takes all
	return w.Bytes()
}

// library5 is a rare packet as the library has it.
func library5(p *packet) *packets.ControlPacket {
	out := packets.NewControlPacket(p.kind)
	switch c := out.Content.(type) {
	case *packets.Connect:
		o := p.login
		c.CleanStart, c.ClientID, c.KeepAlive = o.CleanStart, o.ClientID, uint16(KeepAlive/time.Second)
		c.UsernameFlag, c.Username = o.Username != "", o.Username
		c.PasswordFlag, c.Password = o.Username != "" && o.Password != "", []byte(o.Password)
		expiry := uint32(min(o.Expiry/time.Second, 0xffffffff))
		c.Properties.SessionExpiryInterval = &expiry
		if w := o.Will; w != nil {
			c.WillFlag, c.WillTopic, c.WillMessage, c.WillProperties = true, w.Topic, w.Payload, &packets.Properties{}
			c.WillQOS, c.WillRetain = w.QoS, w.Retain
		}
	case *packets.Subscribe:
		handling := byte(0)
		if p.filter.NoRetained {
			handling = 2
		}
		c.PacketID = p.id
		c.Subscriptions = []packets.SubOptions{{Topic: p.filter.Topic, QoS: p.filter.QoS, NoLocal: p.filter.NoLocal, RetainHandling: handling}}
	case *packets.Unsubscribe:
		c.PacketID, c.Topics = p.id, []string{p.filter.Topic}
	case *packets.Disconnect:
		if p.end {
			var none uint32
			c.Properties.SessionExpiryInterval = &none
		}
	}
	return out
}

func (codec5) parse(first byte, body []byte) (packet, error) {
	p := packet{kind: first >> 4}
	switch p.kind {
	case kindPublish:
		var err error
		p.Publish, err = parsePublish(first, body, true)
		return p, err
	case kindPuback, kindPubrec, kindPubrel, kindPubcomp:
		return p, parseAnswer(&p, body)
	case kindConnack:
		return p, parseConnack(&p, body)
	case kindSuback, kindUnsuback:
		if len(body) < 2 {
			return p, breachf("a malformed packet of type %d", p.kind)
		}
		_, rest, err := properties(p.kind, body[2:])
		if err != nil || len(rest) != 1 { // one filter was asked for
			return p, breachf("a malformed packet of type %d", p.kind)
		}
		p.id, p.codes = binary.BigEndian.Uint16(body), rest
	case kindDisconnect:
		if len(body) == 0 {
			return p, nil
		}
		p.code = body[0]
		return p, parseReason(&p, body[1:])
	}
	return p, nil
}

// parseAnswer reads what answers a PUBLISH (MQTT 5, 3.4 to 3.7).
func parseAnswer(p *packet, body []byte) error {
	if len(body) < 2 {
		return breachf("a malformed packet of type %d", p.kind)
	}
	if p.id = binary.BigEndian.Uint16(body); len(body) == 2 {
		return nil
	}
	p.code = body[2]
	return parseReason(p, body[3:])
}

// parseReason reads properties at the end of a packet, which may be left out.
func parseReason(p *packet, body []byte) error {
	if len(body) == 0 {
		return nil
	}
	props, rest, err := properties(p.kind, body)
	if err != nil || len(rest) > 0 {
		return breachf("a malformed packet of type %d", p.kind)
	}
	p.reason = props.ReasonString
	return nil
}

// parseConnack reads a CONNACK (MQTT 5, 3.2). One of MQTT 3.1.1 refuses the version.
func parseConnack(p *packet, body []byte) error {
	if len(body) < 2 || len(body) == 2 && body[1] == 0 {
		return breachf("a malformed CONNACK")
	}
	p.present, p.code = body[0]&1 != 0, body[1]
	if len(body) == 2 {
		return nil
	}
	props, rest, err := properties(p.kind, body[2:])
	if err != nil || len(rest) > 0 {
		return breachf("a malformed CONNACK")
	}
	p.reason, p.limits = props.ReasonString, Limits{Receive: noMaximum, QoS: 2}
	if props.ReceiveMaximum != nil {
		p.limits.Receive = int(*props.ReceiveMaximum)
	}
	if props.MaximumQOS != nil {
		p.limits.QoS = *props.MaximumQOS
	}
	p.limits.NoRetain = props.RetainAvailable != nil && *props.RetainAvailable == 0
	if props.MaximumPacketSize != nil {
		p.limits.Packet = int(*props.MaximumPacketSize)
	}
	if props.SessionExpiryInterval != nil {
		expiry := time.Duration(*props.SessionExpiryInterval) * time.Second
		p.limits.Expiry = &expiry
	}
	if props.ServerKeepAlive != nil {
		p.keepAlive = time.Duration(*props.ServerKeepAlive) * time.Second
	}
	return nil
}

package session

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// appendPublish writes a PUBLISH (MQTT-3.3), with or without room for properties. There are none.
func appendPublish(b []byte, p *Publish, props bool) []byte {
	length := 2 + len(p.Topic) + len(p.Payload) + int(flag(props))
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
	if props {
		b = append(b, 0)
	}
	return append(b, p.Payload...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// parsePublish reads a PUBLISH (MQTT-3.3), with or without properties.
func parsePublish(first byte, body []byte, props bool) (p Publish, err error) {
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
	if props {
		err = p.takeProperties()
	}
	return p, err
}

// properties reads a set of them (MQTT 5, 2.2.2), and gives what stands behind.
func properties(kind byte, b []byte) (*packets.Properties, []byte, error) {
	size, n := binary.Uvarint(b)
	if n < 1 || n > 4 || size > uint64(len(b)-n) {
		return nil, nil, breachf("malformed properties")
	}
	end := n + int(size)
	props := &packets.Properties{}
	if size > 0 {
		if err := props.Unpack(bytes.NewBuffer(b[:end]), kind); err != nil {
			return nil, nil, breachf("malformed properties: %v", err)
		}
	}
	return props, b[end:], nil
}

// takeProperties takes them off the payload (MQTT 5, 3.3.2.3).
func (p *Publish) takeProperties() error {
	if len(p.Payload) > 0 && p.Payload[0] == 0 {
		p.Payload = p.Payload[1:]
		return nil
	}
	props, rest, err := properties(kindPublish, p.Payload)
	if err != nil {
		return err
	}
	if props.TopicAlias != nil { // MQTT 5, 3.1.2.11.5: what has none would be taken for a message to nobody
		return breachf("a topic alias, which it was not offered")
	}
	if p.Payload = rest; props.MessageExpiry != nil {
		expiry := time.Duration(*props.MessageExpiry) * time.Second
		p.Expiry = &expiry
	}
	return nil
}

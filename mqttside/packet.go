package mqttside

import (
	"bytes"
	"fmt"
	"io"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// longestPublish is the length of the longest PUBLISH that can be of use, behind its fixed header.
func (c *Config) longestPublish() int { return 2 + maxPrefix + 64<<10 + 2 + c.MaxMessage + 1 }

// readPacket reads a packet of what is not the relay's own connection. paho makes room for what the length says, up to
// 256 MiB, before anything of it has come: a longer PUBLISH than limit is passed over, and anything else is refused.
func readPacket(r io.Reader, limit int) (packets.ControlPacket, error) {
	for {
		head, length, err := readHeader(r)
		switch {
		case err != nil:
			return nil, err
		case head[0]>>4 == packets.Publish && length > limit:
			if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
				return nil, err
			}
			continue
		case head[0]>>4 != packets.Publish && length > longestAnswer:
			return nil, breachf("a packet of type %d with %d bytes", head[0]>>4, length)
		}
		p, err := packets.ReadPacket(io.MultiReader(bytes.NewReader(head), r))
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		return p, nil
	}
}

// readHeader reads a fixed header, byte by byte (MQTT-2.2).
func readHeader(r io.Reader) (head []byte, length int, err error) {
	head = make([]byte, 1, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, err
	}
	for shift := 0; shift < 28; shift += 7 {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, 0, err
		}
		head = append(head, b[0])
		length |= int(b[0]&0x7f) << shift
		if b[0]&0x80 == 0 {
			return head, length, nil
		}
	}
	return nil, 0, breachf("a malformed length")
}

package sqlite

import (
	"encoding/binary"
	"fmt"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/message"
)

const seenSize = 16 + 1 + 4 + 8

// pack makes a row of seen.
func pack(keys []picture.SeenKey) []byte {
	b := make([]byte, 0, len(keys)*seenSize)
	for _, k := range keys {
		b = append(b, k.Key[:]...)
		b = append(b, byte(k.Origin))
		b = binary.BigEndian.AppendUint32(b, k.First.Via)
		b = binary.BigEndian.AppendUint64(b, k.First.Msg)
	}
	return b
}

// unpack puts a row of seen into a generation.
func unpack(b []byte, g *picture.Generation) error {
	if len(b)%seenSize != 0 {
		return fmt.Errorf("%w: a row of seen has %d bytes", ErrDamaged, len(b))
	}
	for ; len(b) > 0; b = b[seenSize:] {
		origin := bridge.SideID(b[16])
		if origin != bridge.MQTT && origin != bridge.XMPP {
			return fmt.Errorf("%w: a key in seen has side %d", ErrDamaged, origin)
		}
		first := picture.First{Msg: binary.BigEndian.Uint64(b[21:]), Via: binary.BigEndian.Uint32(b[17:])}
		g.Put(picture.SeenKey{Key: message.Key(b[:16]), Origin: origin, First: first})
	}
	return nil
}

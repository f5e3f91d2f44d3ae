package bridge

import (
	"time"

	"chatrelay/message"
)

// Render makes the bytes that a delivery puts on the wire from the body in the journal. It always makes the same
// bytes of the same delivery: a resumed packet must not differ from the first one.
func Render(origin SideID, kind Kind, to string, body []byte, note Note) []byte {
	switch kind {
	case KindCopy:
		return message.WithTo(body, to)
	case KindNotice:
		at := time.UnixMilli(note.At)
		if origin == MQTT { // nobody vouches for who sent it
			return message.KeyNotice(body, note.Status, note.Text, at)
		}
		return message.WithNotice(body, note.Status, note.Text, at)
	default:
		return body
	}
}

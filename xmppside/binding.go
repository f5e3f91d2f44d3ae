package xmppside

import (
	"encoding/binary"
	"errors"
	"time"
)

// binding is what the journal keeps of a bound delivery: its number in which stream, and where the archive stood then, so
// that it can be looked for there if the stream is lost.
type binding struct {
	stream string // XEP-0198 id; empty: a stream without
	n      uint64
	cursor string // id in the archive; empty: none known
	at     time.Time
}

const bindingVersion = 1

var errBinding = errors.New("xmpp: a binding in the journal is damaged")

func (h binding) bytes() []byte {
	b := append(make([]byte, 0, 21+len(h.stream)+len(h.cursor)), bindingVersion)
	b = binary.BigEndian.AppendUint64(b, h.n)
	b = binary.BigEndian.AppendUint64(b, uint64(h.at.UnixMilli()))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(h.stream))), h.stream...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(h.cursor))), h.cursor...)
}

func parseBinding(b []byte) (h binding, err error) {
	if len(b) < 21 || b[0] != bindingVersion {
		return h, errBinding
	}
	h.n = binary.BigEndian.Uint64(b[1:])
	h.at = time.UnixMilli(int64(binary.BigEndian.Uint64(b[9:])))
	stream, rest, ok := cutText(b[17:])
	cursor, rest, ok2 := cutText(rest)
	if !ok || !ok2 || len(rest) > 0 || h.n == 0 {
		return binding{}, errBinding
	}
	h.stream, h.cursor = stream, cursor
	return h, nil
}

func cutText(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(b)) + 2
	if len(b) < n {
		return "", nil, false
	}
	return string(b[2:n]), b[n:], true
}

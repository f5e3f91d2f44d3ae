package message

import (
	"crypto/sha256"
	"encoding/binary"
)

// Key is what makes two messages the same.
type Key [16]byte

// What a key is of, its first byte. Kept in the journal: never renumber.
const (
	keyDirect byte = 1
	keyGroup  byte = 2
	keyWire   byte = 3
)

// What stands in a key in the place of the time: id "5" is not time 5.
const (
	byTime byte = 1
	byID   byte = 2
)

// Key is the envelope's key. It must be Identified.
//
// The values are the decoded ones, so the number and the string form of a field agree, as do the spellings of a
// character; each is prefixed by its length, so no two lists of values make the same bytes.
func (e *Envelope) Key() Key {
	var room [512]byte
	b := room[:0]
	if n := e.keyBytes(); n > len(room) {
		b = make([]byte, 0, n)
	}
	if e.Group() {
		b = append(b, keyGroup)
		b = appendText(b, e.From)
		b = appendText(b, e.GroupJID) // not "to": the inbox copies of a group message have one key
	} else {
		b = append(b, keyDirect)
		b = appendText(b, e.From)
		b = appendText(b, e.To)
	}
	if e.ID != "" {
		b = appendText(append(b, byID), e.ID)
	} else {
		b = binary.BigEndian.AppendUint64(append(b, byTime), uint64(e.Time))
		b = binary.BigEndian.AppendUint32(b, e.subMS)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(e.ContentType))
	return digest(appendText(b, e.Content))
}

// KeyWithID is the key the envelope has once id has been spliced into it.
func (e *Envelope) KeyWithID(id string) Key {
	with := *e
	with.ID = id
	return with.Key()
}

// WireKey is the key of a wire's own identity of a message; it can never equal an envelope's key.
func WireKey(parts ...string) Key {
	b := []byte{keyWire}
	for _, p := range parts {
		b = appendText(b, p)
	}
	return digest(b)
}

// keyBytes is enough room for what Key hashes.
func (e *Envelope) keyBytes() int {
	return 64 + len(e.From) + len(e.To) + len(e.GroupJID) + len(e.ID) + len(e.Content)
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func digest(b []byte) Key {
	sum := sha256.Sum256(b)
	return Key(sum[:len(Key{})])
}

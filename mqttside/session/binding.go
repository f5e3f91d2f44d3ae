package session

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
)

// ID names one session at the broker: packet ids mean something only within it.
type ID [8]byte

// NewID names a new session.
func NewID() (id ID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// Phases of a message on the wire. Stored: never renumber.
const (
	published byte = 1 // PUBLISH is to be sent, or sent again
	released  byte = 2 // PUBREC has come: PUBREL is to be sent, never the PUBLISH again (MQTT-4.3.3)
)

// binding is what the journal keeps of a message in flight.
type binding struct {
	session ID
	id      uint16
	qos     byte
	phase   byte
}

const bindingVersion, bindingLength = 1, 13

var errBinding = errors.New("session: a binding in the journal is damaged")

func (b binding) bytes() []byte {
	out := append(make([]byte, 0, bindingLength), bindingVersion)
	out = append(out, b.session[:]...)
	out = binary.BigEndian.AppendUint16(out, b.id)
	return append(out, b.qos, b.phase)
}

func parseBinding(in []byte) (b binding, err error) {
	if len(in) != bindingLength || in[0] != bindingVersion {
		return b, errBinding
	}
	copy(b.session[:], in[1:9])
	b.id, b.qos, b.phase = binary.BigEndian.Uint16(in[9:]), in[11], in[12]
	if b.id == 0 || b.qos < 1 || b.qos > 2 || (b.phase != published && b.phase != released) || b.phase > b.qos {
		return b, errBinding
	}
	return b, nil
}

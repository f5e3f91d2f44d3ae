package mqttside

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
)

// nonce names one session at the broker: packet ids mean something only within it.
type nonce [8]byte

func newNonce() (n nonce) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

// Phases of a leg on the wire. Stored: never renumber.
const (
	published byte = 1 // PUBLISH is to be sent, or sent again
	released  byte = 2 // PUBREC has come: PUBREL is to be sent, never the PUBLISH again (MQTT-4.3.3)
)

// how is what the journal keeps of a bound leg.
type how struct {
	session nonce
	id      uint16
	qos     byte
	phase   byte
}

const howVersion, howLength = 1, 13

var errHow = errors.New("mqtt: a binding in the journal is damaged")

func (h how) bytes() []byte {
	b := append(make([]byte, 0, howLength), howVersion)
	b = append(b, h.session[:]...)
	b = binary.BigEndian.AppendUint16(b, h.id)
	return append(b, h.qos, h.phase)
}

func parseHow(b []byte) (h how, err error) {
	if len(b) != howLength || b[0] != howVersion {
		return h, errHow
	}
	copy(h.session[:], b[1:9])
	h.id, h.qos, h.phase = binary.BigEndian.Uint16(b[9:]), b[11], b[12]
	if h.id == 0 || h.qos < 1 || h.qos > 2 || (h.phase != published && h.phase != released) || h.phase > h.qos {
		return h, errHow
	}
	return h, nil
}

package mqttside

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// A probe is a message by which a relay finds out what the broker does with its messages: MQTT 3.1.1 acknowledges what
// is dropped for want of a right, or for its length. Its topic lies among the inboxes, so that it needs the same
// rights, but is nobody's: no landline has this shape, whatever the pattern says. It goes at QoS 0, so that it waits
// in no session that is away, and is not retained. No relay counts, passes on or answers one, its own or another's.

// probeShape begins the last level of a probe's topic; probeDigits hexadecimal digits follow.
const (
	probeShape  = "~probe-"
	probeDigits = 16
)

// nonce tells one probe from another.
type nonce [8]byte

func newNonce() (n nonce) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

// newProbeName names the probes of one run. It is no user name, as nobody could know it before.
func newProbeName() string {
	n := newNonce()
	return probeShape + hex.EncodeToString(n[:])
}

// isProbeName tells whether the last level of a topic is that of a probe of any relay.
func isProbeName(level string) bool {
	digits, ok := strings.CutPrefix(level, probeShape)
	return ok && len(digits) == probeDigits && strings.Trim(digits, "0123456789abcdef") == ""
}

// isProbe tells whether a topic is that of a probe of any relay.
func (s *Side) isProbe(topic string) bool {
	level, ok := strings.CutPrefix(topic, s.cfg.Prefix+"/")
	return ok && isProbeName(level)
}

// probeHead and probeTail enclose the nonce of a probe. Devices that read all inboxes find JSON.
const (
	probeHead = `{"probe":"`
	probeTail = `"}`
	// probeLeast is the length of the shortest probe.
	probeLeast = len(probeHead) + probeDigits + len(probeTail)
)

// probeBody is a probe of a length; it is never shorter than probeLeast.
func probeBody(n nonce, length int) []byte {
	b := append(make([]byte, 0, max(length, probeLeast)), probeHead...)
	b = hex.AppendEncode(b, n[:])
	b = append(b, probeTail...)
	for len(b) < length {
		b = append(b, ' ')
	}
	return b
}

// parseProbe finds the nonce of a probe.
func parseProbe(b []byte) (n nonce, ok bool) {
	if len(b) < probeLeast || string(b[:len(probeHead)]) != probeHead {
		return n, false
	}
	_, err := hex.Decode(n[:], b[len(probeHead):len(probeHead)+probeDigits])
	return n, err == nil
}

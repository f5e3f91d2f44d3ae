package xmppside

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"chatrelay/bridge"
	"chatrelay/message"
	"chatrelay/xmppside/stanza"
)

const (
	messagePrefix = "cr-"  // ids of stanzas that carry messages
	receiptPrefix = "crr-" // of receipts: a bounce of one says nothing about a message
	secretBytes   = 16
	sealBytes     = 6
)

// idSigner makes the ids of our stanzas. An id is made of the delivery and of whom it goes to, sealed with a secret that
// this journal keeps: the same on every resend, never another journal's, and nobody can make up the id of a stanza
// that was sent to somebody else (or its bounce).
type idSigner struct{ secret []byte }

func newSecret() []byte {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return b
}

// id names a delivery that goes to a bare JID: cr-<message>-<delivery>-<seal>.
func (s idSigner) id(ref bridge.Ref, to string) string {
	return messagePrefix + strconv.FormatUint(ref.Msg, 10) + "-" + strconv.FormatUint(uint64(ref.Delivery), 10) + "-" + s.seal(ref, to)
}

// Behind the seal a message's id says what its sender calls it: who answers it, corrects it or has read it names it by the stanza's id.
const (
	namedByID   = 'i'
	namedByTime = 't' // in ms
)

// idWith is the id of a stanza that says so.
func (s idSigner) idWith(ref bridge.Ref, to string, t *message.Text) string {
	id := s.id(ref, to)
	switch {
	case t.ID != "" && stanza.Legal([]byte(t.ID)):
		id += "-" + string(namedByID) + t.ID
	case t.ID == "" && !t.Time.IsZero():
		id += "-" + string(namedByTime) + strconv.FormatInt(t.Time.UnixMilli(), 10)
	}
	return id
}

// name is what the sender of a message calls it that we sent to a bare JID under an id; ours false: it is none of them.
func (s idSigner) name(id, to string) (name string, at time.Time, ours bool) {
	if _, ours = s.ref(id, to); !ours {
		return "", at, false
	}
	parts := strings.SplitN(strings.TrimPrefix(id, messagePrefix), "-", 4)
	if len(parts) < 4 || len(parts[3]) < 2 {
		return "", at, true
	}
	kind, name := parts[3][0], parts[3][1:]
	switch ms, err := strconv.ParseInt(name, 10, 64); {
	case kind == namedByID && len(name) <= message.MostID:
		return name, at, true
	case kind == namedByTime && err == nil:
		return "", time.UnixMilli(ms), true
	}
	return "", at, true
}

func (s idSigner) seal(ref bridge.Ref, to string) string {
	h := hmac.New(sha256.New, s.secret)
	var n [10]byte
	binary.BigEndian.PutUint64(n[:], ref.Msg)
	binary.BigEndian.PutUint16(n[8:], ref.Delivery)
	h.Write(n[:]) // a hash never errs
	h.Write([]byte(to))
	return hex.EncodeToString(h.Sum(nil)[:sealBytes])
}

// relay names the relay that has this journal; nobody can tell the secret from it.
func (s idSigner) relay() string {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte("relay")) // a hash never errs
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// made tells whether a stanza's id is one of ours, for that delivery.
func (s idSigner) made(l *outgoing) bool {
	id := l.id
	if rest, receipt := strings.CutPrefix(id, receiptPrefix); receipt {
		id = messagePrefix + rest
	}
	return id == s.id(l.ref, l.to)
}

// ref finds the delivery that an id from a bare JID is about; false: it is none of ours, or was not sent there.
func (s idSigner) ref(id, from string) (bridge.Ref, bool) {
	rest, ours := strings.CutPrefix(id, messagePrefix)
	parts := strings.SplitN(rest, "-", 4) // the fourth is the sender's own name for it
	if !ours || len(parts) < 3 {
		return bridge.Ref{}, false
	}
	msg, err1 := strconv.ParseUint(parts[0], 10, 64)
	num, err2 := strconv.ParseUint(parts[1], 10, 16)
	ref := bridge.Ref{Msg: msg, Delivery: uint16(num)}
	if err1 != nil || err2 != nil || messagePrefix+strings.Join(parts[:3], "-") != s.id(ref, from) {
		return bridge.Ref{}, false
	}
	return ref, true
}

// Package message knows the JSON envelope and what makes two messages the same.
package message

import "time"

// Rules are the limits an envelope is read under.
type Rules struct {
	MaxBytes int               // a larger body is refused before parsing
	Landline func(string) bool // nil: DefaultLandline
	Own      string            // the relay's own account name, which is no landline; empty: none
}

// Envelope is what the relay reads of a message. The body itself travels as it came.
type Envelope struct {
	From, To            string // landlines; To may be empty
	GroupJID, GroupName string
	ChatType            int64
	ContentType         int64 // missing or null: 0
	Content             string
	ID                  string // "id", else "msgId"; empty: none
	Time                int64  // ms since the epoch
	HasTime             bool
	Notice              bool // status is sent, delayed or failed and statusTime is there: the relay's own notice
}

// Group tells whether the envelope is a group message: it has a non-empty groupJid.
func (e *Envelope) Group() bool { return e.GroupJID != "" }

// Identified tells whether the envelope has an identity of its own: an id or a timeStamp.
func (e *Envelope) Identified() bool { return e.ID != "" || e.HasTime }

// Refusal says why a body is no envelope that can be relayed.
type Refusal struct {
	Reason string // one of few fixed words
	Text   string // a sentence for a person; no message content
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Text }

// Parse reads and checks a body. On a refusal the error is a *Refusal, and From is set all the same when the
// body is a sound JSON object and its from is a good landline (so that its sender can be told).
func Parse(body []byte, r *Rules) (Envelope, error) { panic("being written") }

// Key is what makes two messages the same.
type Key [16]byte

// Key is the envelope's key. It must be Identified.
func (e *Envelope) Key() Key { panic("being written") }

// KeyWithID is the key the envelope has once id has been spliced into it.
func (e *Envelope) KeyWithID(id string) Key { panic("being written") }

// WireKey is the key of a wire's own identity of a message; it can never equal an envelope's key.
func WireKey(parts ...string) Key { panic("being written") }

// WithID, WithTo and WithNotice splice fields into a body that Parse accepted; all other bytes stay.
func WithID(body []byte, id string) []byte { panic("being written") }

// WithTo sets "to".
func WithTo(body []byte, to string) []byte { panic("being written") }

// WithNotice makes the notice of a body: status, reason (left out when empty) and statusTime (ms). It also takes bodies that
// Parse refused with From set.
func WithNotice(body []byte, status, reason string, at time.Time) []byte { panic("being written") }

// DefaultLandline is [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
func DefaultLandline(s string) bool { panic("being written") }

// XMLSafe returns body with raw U+FFFE and U+FFFF inside JSON strings written as \ufffe and \uffff
// (legal in JSON, not in XML); body itself when there is none.
func XMLSafe(body []byte) []byte { panic("being written") }

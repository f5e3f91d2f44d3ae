package bridge

import (
	"context"
	"strings"
	"time"
)

// Inbound is one payload off a wire, offered once.
type Inbound struct {
	Body []byte // as it came; not changed by anyone afterwards

	// What the wire itself vouches for.
	From    string // landline of the authenticated sender; empty: the wire cannot tell (MQTT)
	Trusted bool   // the sender may speak for others; From is then not compared
	To      string // landline of the inbox (topic) it arrived on, or to whose address it was sent (XMPP); empty: none
	Room    string // served room in which it was heard; empty: not heard in a room

	// A verdict that the side already came to; at most one of the two. The message is only counted
	// (and, for Refused, answered where it can be).
	Ignored string   // fixed word: why it is no message for us (receipt, chat_state, history, …)
	Refused *Refusal // why it cannot be taken (retained, oversize, unknown_sender, …)
	// Stored: with Refused, it may be the wire's own copy of what was taken before (a retained message). What the journal
	// knows is a duplicate then, and nobody is told that it is refused.
	Stored bool

	// Reply says how to answer the sender on the same wire with a stanza error (XMPP; zero: it cannot). Receipt: the
	// sender asked for a receipt (XEP-0184) there.
	Reply   ReplyTo
	Receipt bool

	// Expires is how long the message is worth anything, from now on in the relay's running time; 0: for ever. What has not
	// left by then is dead, and nothing but its key fields is kept.
	Expires time.Duration

	// WireID is the wire's own lasting identity of this message (XMPP: of archive id, sender, stanza id and
	// body). A message whose WireID is known is a redelivery: a silent duplicate. Empty: none.
	WireID string
	// Redelivered: the wire says it may have given us this before (a known key is then no retry).
	Redelivered bool
	// State is written in the same transaction as the record (packet ids, SM h), whatever the verdict.
	State []StateRow

	// Gen numbers the connection it came on. Once an offer of a Gen ends with an error other than
	// ErrFull, all later offers of that Gen end with the same one: nothing overtakes what the wire will
	// bring again. With Redelivers set ErrFull does so too (MQTT: the broker keeps what we drop);
	// without it ErrFull is the answer to that one message (XMPP: its sender is told).
	Gen        uint64
	Redelivers bool

	// Ack is called exactly once, from any goroutine, and never waits.
	// nil: the relay has it durably, or knows it already, or ignores it. *Refusal: refused for good,
	// counted, and any answer is in the journal: acknowledge it on the wire. ErrFull: see above. Any
	// other error: nothing was taken; close the connection, reconnect with backoff, the wire redelivers.
	Ack func(error)
}

// Inlet is where a side offers what it hears. Bridge implements it; one per side.
type Inlet interface {
	// Offer takes one message. A side calls it from one goroutine at a time; order is kept. It blocks
	// while the intake has its fill of uncommitted messages, until ctx ends; then it returns the
	// context's error and Ack is never called. After nil, Ack will be called.
	Offer(ctx context.Context, in Inbound) error
}

// ReplyTo is an address for answers. Sender names who is answered: answers are limited, and wait, by sender. Handle is
// the side's own word for where to, and about what; nobody else reads it.
type ReplyTo struct{ Sender, Handle string }

// IsZero tells whether there is nobody to answer.
func (r ReplyTo) IsZero() bool { return r == ReplyTo{} }

// Stored is the address as one text, for the journal. It is kept in files: never change it.
func (r ReplyTo) Stored() string {
	if r.Handle == "" {
		return r.Sender
	}
	return r.Sender + "\x00" + r.Handle
}

// ParseReplyTo reads what Stored has written.
func ParseReplyTo(stored string) (r ReplyTo) {
	r.Sender, r.Handle, _ = strings.Cut(stored, "\x00")
	return r
}

// MarshalText is Stored, for notes.
func (r ReplyTo) MarshalText() ([]byte, error) { return []byte(r.Stored()), nil }

// UnmarshalText is ParseReplyTo.
func (r *ReplyTo) UnmarshalText(text []byte) error {
	*r = ParseReplyTo(string(text))
	return nil
}

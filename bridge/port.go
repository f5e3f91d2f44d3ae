// Package bridge is the sorting room of the relay: it judges what the sides take in, routes it, stamps
// it into the book and has couriers hand it out again. It knows no protocol, no topic and no JID.
//
// port.go holds everything the other rooms build against: the sides (mqttside, xmppside) implement Side
// and call Inlet and Desk; the journal implements Book, Ledger and Desk.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatrelay/message"
)

// SideID names one of the two networks. It is stored in the book: never renumber.
type SideID uint8

// The two networks.
const (
	MQTT SideID = 1 // inboxes
	XMPP SideID = 2 // chat users and rooms
)

// String is the side's name in logs, metrics and the status page.
func (s SideID) String() string {
	switch s {
	case MQTT:
		return "mqtt"
	case XMPP:
		return "xmpp"
	}
	return "unknown"
}

// Errors that say what the caller should do next.
var (
	// ErrDown: the leg never reached the wire. Keep it, send the same leg again, first in its lane.
	ErrDown = errors.New("side is down")
	// ErrFull: not taken, the book has no room. MQTT drops the message unacknowledged and keeps its
	// connection; XMPP answers resource-constraint, type wait.
	ErrFull = errors.New("the book is full")
)

// Refusal is a verdict for good: trying again cannot help.
type Refusal struct {
	Reason string // one of few fixed lower-case words, used as a metric label
	Text   string // one sentence for the person who sent it; never holds message content
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Text }

// Refuse makes a Refusal.
func Refuse(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// StateRow is one row of a side's own durable memory. A nil Value removes the row.
type StateRow struct {
	Key   string
	Value []byte
}

// Inbound is one payload off a wire, offered once.
type Inbound struct {
	Body []byte // as it came; not changed by anyone afterwards

	// What the wire itself vouches for.
	From    string // landline of the authenticated sender; empty: the wire cannot tell (MQTT)
	Trusted bool   // the sender may speak for others; From is then not compared
	To      string // landline of the inbox (topic) it arrived on; empty: none (XMPP)
	Room    string // served room in which it was heard; empty: not heard in a room

	// A verdict that the side already came to; at most one of the two. The message is only counted
	// (and, for Refused, answered where it can be).
	Ignored string   // fixed word: why it is no message for us (receipt, chat_state, history, …)
	Refused *Refusal // why it cannot be taken (retained, oversize, unknown_sender, …)
	// Stored: with Refused, it may be the wire's own copy of what was taken before (a retained message). What the book
	// knows is a duplicate then, and nobody is told that it is refused.
	Stored bool

	// Reply is the side's own opaque handle for answering the sender on the same wire with a stanza
	// error (XMPP; empty: it cannot). What stands before its first NUL names the sender: answers are
	// limited per sender. Receipt: the sender asked for a receipt (XEP-0184) there.
	Reply   string
	Receipt bool

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
	// counted, and any answer is in the book: acknowledge it on the wire. ErrFull: see above. Any
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

// Ref names one leg of one message. Stored; comparable.
type Ref struct {
	Msg uint64 // number of the message in the book, from 1
	Leg uint16 // number of the leg within the message, from 0
}

func (r Ref) String() string { return fmt.Sprintf("%d.%d", r.Msg, r.Leg) }

// Kind says what a leg is. Stored: never renumber.
type Kind uint8

// What the relay sends.
const (
	Inbox   Kind = 1 // MQTT: a message into the inbox of landline To
	Copy    Kind = 2 // MQTT: a group message's copy into the inbox of landline To ("to" is spliced)
	Notice  Kind = 3 // MQTT: a notice into the inbox of landline To; body is rendered from Note
	Chat    Kind = 4 // XMPP: a chat message to landline To
	Room    Kind = 5 // XMPP: one groupchat message into room To (bare JID)
	Receipt Kind = 6 // XMPP: a delivery receipt to Note.Reply
	Error   Kind = 7 // XMPP: a stanza error to Note.Reply, made of Note.Reason and Note.Text; To is empty
)

// Mail tells whether a leg of this kind carries a message, rather than an answer about one.
func (k Kind) Mail() bool { return k == Inbox || k == Copy || k == Chat || k == Room }

// Note is what an answer (Notice, Receipt, Error) says. Of a mail leg only Post is set.
type Note struct {
	Status string `json:"status,omitempty"` // Notice: sent, delayed or failed. Error: failed, if the message was taken before
	Reason string `json:"reason,omitempty"` // Error: the refusal's fixed word
	Text   string `json:"text,omitempty"`   // Notice: the reason a person reads. Error: the same
	At     int64  `json:"at,omitempty"`     // ms since the epoch
	Reply  string `json:"reply,omitempty"`  // Receipt, Error: Inbound.Reply

	// Post is set where it was not known yet whether the sender may post to the group: the courier asks before the
	// leg leaves. It stays with a dead leg, so that a requeued one is asked about again.
	Post *Post `json:"post,omitempty"`
}

// Post is what has to be asked about a group message that was taken while its room's state was unknown.
type Post struct {
	Room string `json:"room"`
	Via  string `json:"via,omitempty"` // MQTT: the landline of the inbox it came on
}

// Leg is one delivery that a message needs, as intake writes it.
type Leg struct {
	Side SideID
	Kind Kind
	To   string // landline or room, never a topic or a JID
	Lane string // order is kept within a lane; (sender, destination)
	// Behind names a lane that this leg must not overtake: while anything in it is open, the leg goes there.
	Behind string
	Note   Note
}

// Outbound is one leg on its way to a wire. Body is what travels: already rendered (Render), never nil
// for a mail leg or a Notice. It must not be changed.
type Outbound struct {
	Ref  Ref
	Kind Kind
	From string // landline of the message's sender
	To   string
	Body []byte
	Note Note
}

// RetryLater is an error of Side.Send that is part of the normal course of things and knows when to try again.
type RetryLater interface {
	error
	RetryIn() time.Duration
}

// Side is one wire.
type Side interface {
	ID() SideID
	// Run connects, reconnects, reads and offers until ctx ends or the error is hopeless (bad
	// configuration). When ctx ends it leaves in good order within its drain time: Send answers
	// ErrDown, what is bound is waited for, what was offered is acknowledged, then it logs out; nil.
	Run(ctx context.Context, in Inlet) error
	// Send puts one leg on the wire. It is called from one goroutine, in order. It blocks while the
	// side is disconnected or its window is full. When it returns nil the leg has been bound
	// (Desk.Bind) and the side will Close or Unbind it. Any error means that it was never bound:
	// ErrDown: send the same leg again, first in its lane; *Refusal: dead letter; ctx's error: give it
	// back; anything else: temporary, its lane alone backs off, or waits for as long as the error's
	// RetryIn says (RetryLater).
	Send(ctx context.Context, out Outbound) error
	// Up tells whether the wire is logged in and ready, and in a few words why not.
	Up() (bool, string)
}

// Standing is what a room knows of a landline.
type Standing uint8

// Standings.
const (
	StandingUnknown    Standing = iota // the room's state is not known now: ask again
	StandingOutOfReach                 // nor has it been for long, and when it was the landline was no outcast
	StandingLost                       // nor for a day on end, while the relay was logged in: give it up
	StandingOutcast                    // banned there
	StandingNone                       // neither there nor on one of its lists
	StandingVisitor                    // there, and may not speak
	StandingMember                     // may speak there
)

// Standings tells what rooms know of people. The XMPP side implements it.
type Standings interface {
	// Standing never waits and may be called from any goroutine.
	Standing(room, landline string) Standing
}

// RoomState is what is shown of a served room.
type RoomState struct {
	Room string
	Up   bool   // the relay is in it
	Why  string // what is wrong, in few words; may say something of a room that is up, too

	Unheard int64 // messages refused there whose speaker nobody could be told, since the start
}

// Rooms is what the status page reads. The XMPP side implements it.
type Rooms interface {
	// Rooms lists the served rooms by name. It may be called from any goroutine.
	Rooms() []RoomState
}

// Verdict is what intake decided about an offer.
type Verdict uint8

// Verdicts.
const (
	Take   Verdict = iota // deliver its legs
	Ignore                // count it under Reason
	Reject                // count it under Reason; Legs holds at most the answers
)

// Outcome is what became of a record in the book.
type Outcome uint8

// Outcomes. The first four are final and committed.
const (
	Unknown   Outcome = iota // Append failed
	Taken                    // message, legs and keys are in the book
	Duplicate                // a key was known: nothing to deliver
	Ignored
	Refused
	Full // no room: nothing was written for it, no key kept, not counted as received
)

// Record is one offer on its way into the book.
type Record struct {
	Origin  SideID
	Verdict Verdict
	Reason  string // label for Ignore and Reject
	// ID is the number given by Book.NewID, or 0: the book gives one.
	ID      uint64
	Keys    []message.Key // all that are remembered under Origin; the first known one decides. See Append for those of a Reject
	WireKey message.Key   // zero: none. A known one is a silent duplicate
	From    string        // sender's landline
	Via     string        // inbox it arrived on (MQTT): a retry is a known key with the same Via
	Body    []byte
	Legs    []Leg
	// Reply is Inbound.Reply of whatever was sent by stanza: an Error leg with this Note.Reply is due when it
	// dies or bounces. Receipt: a Receipt leg is due when it is settled as sent.
	Reply   string
	Receipt bool
	// Redelivered: a known key is silence, not a retry to be answered.
	Redelivered bool
	// Gen and Redelivers are the Inbound's. Where the wire brings again what is Full, nothing behind it in the
	// same call and Gen may be counted, kept or answered: all of that is Full too.
	Gen        uint64
	Redelivers bool
	State      []StateRow // of side Origin

	Outcome Outcome // set by Append
	// Why is set by Append with Full or Refused where the book itself refuses this one message: its sender, or
	// who it is for, has its share of the journal already.
	Why *Refusal
}

// Book takes records in. The journal implements it.
type Book interface {
	// NewID reserves the next message number and a text made of it that is unique among all books
	// ("cr-<book>-<number>"), for messages that have no identity of their own.
	NewID() (uint64, string)
	// Append writes the records in order, in one transaction with their keys, legs, state rows and
	// totals, and is durable on return. It blocks for the commit and may be called from several
	// goroutines (their records share commits). Outcome is set on each record.
	//
	// What makes a Take record a duplicate: WireKey is known; or a key is known from the same origin;
	// or (origin MQTT only) from the other origin: an echo. Keys of the same batch and of commits in
	// flight count: twins wait for the first one's commit. A same-origin duplicate that is not
	// Redelivered and (MQTT) has the first one's Via is a sender's retry: still pending, silence;
	// settled: a "sent" notice (and Receipt leg) is added for it; dead or bounced: "failed".
	//
	// A Reject with Keys leaves none of them, but if the book knows one it is a silent duplicate: nobody is told that
	// what was delivered is refused.
	//
	// Full is per record: keys known are still answered, and Ignore and Reject records are still
	// counted (from the reserve), unless they stand behind a Full one that the wire brings again with all that
	// followed (Record.Redelivers). Once full, all Take records are Full until usage is below 80 %. A record beyond
	// a share (Why is set) is Full alone; from MQTT, which cannot keep it back alone, it is Refused.
	// An error fails the whole call: nothing of it was taken. ErrFull (wrapped): disk full.
	Append(ctx context.Context, recs []*Record) error
}

// Result closes a leg. A nil Err: settled. A *Refusal: dead. State rows go into the same transaction.
type Result struct {
	Ref   Ref
	Err   error
	State []StateRow // of the leg's side
	// Unproven: settled on a word that the wire also gives for what it drops (MQTT 3.1.1). The leg counts as settled,
	// and is remembered across crashes until Desk.Confirm or Desk.BounceUnconfirmed.
	Unproven bool
}

// Ledger is what couriers read. The journal implements it.
type Ledger interface {
	// Next returns the oldest leg of a lane that is neither bound nor handed out nor backing off,
	// lanes in turn by sender first, then by destination; it waits for one until ctx ends. The leg is handed out: the lane's next leg may
	// follow it at once, and the caller must see to it that it is bound, or give it back.
	Next(ctx context.Context, side SideID) (Outbound, error)
	// Release gives an unbound leg back, first in its lane.
	Release(ref Ref)
	// Defer gives an unbound leg back and holds its lane for a while, which no step of the clock makes longer
	// or shorter; reason is kept with it. The attempt is counted.
	Defer(ref Ref, wait time.Duration, reason string)
	// Attempts says how often a leg was deferred, and how long ago, in the relay's running time, it was first
	// handed out.
	Attempts(ref Ref) (n int, since time.Duration)
	// Close settles or buries legs, bound or handed out. See Desk.Close.
	Close(results ...Result)
	// Delayed adds one "delayed" notice for each message that is pending for at least so long. Cheap when
	// there is none.
	Delayed(ctx context.Context, atLeast time.Duration) error
}

// BoundLeg is a leg that a wire held when the book was last closed.
type BoundLeg struct {
	Outbound
	How []byte // as last given to Bind
}

// Desk is what a side needs of the book. The journal implements it. Bind, Unbind, Close, SetState and
// Count only enqueue, in order, into the writer's one queue; they never wait and may be called from
// any goroutine, even from within paho's callbacks.
type Desk interface {
	// Bind records that a leg is about to go on the wire as how says ((session, packet id, phase) or
	// (stream, number)). Called again for a bound leg it replaces how. The ticket is a running number.
	Bind(ref Ref, how []byte) (ticket uint64)
	// Wait waits until everything up to ticket is committed. Only then may bytes that ticket covers
	// leave. An error: that commit failed, all bindings of it are undone and the legs are back with
	// Next; or ctx ended.
	Wait(ctx context.Context, ticket uint64) error
	// Bound lists what the wire still holds from before, in order of binding. A side reads it once,
	// before it first connects.
	Bound(ctx context.Context, side SideID) ([]BoundLeg, error)
	// Unbind: the wire has lost these: back to Next, each in its old place in its lane.
	Unbind(refs ...Ref)
	// Close settles (nil Err) or buries (*Refusal) legs: leg, notice, totals and state rows in one
	// transaction. The last leg of a message decides its notice. Closing twice is harmless. A close
	// whose commit fails for want of space is tried again by the journal itself.
	Close(results ...Result)
	// Bounce: the far side gave back a leg that was settled: counts it, marks the key, and sends the
	// sender "failed" while the message is still in the book (an hour).
	Bounce(ref Ref, why *Refusal)
	// Mark numbers the unproven results that Close was given so far.
	Mark() uint64
	// Confirm: the far side has taken all legs of a side that were closed as Unproven up to a mark, those of
	// earlier lives included.
	Confirm(side SideID, mark uint64)
	// BounceUnconfirmed: all legs of a side that were closed as Unproven and are not confirmed may not have arrived.
	// They are bounced in one transaction and counted as Unconfirmed; those of messages not longer than so many
	// bytes are confirmed instead (0: none).
	BounceUnconfirmed(side SideID, longer int, why *Refusal)
	// State reads all rows of a side's memory. A side reads it once, before it first connects.
	State(ctx context.Context, side SideID) (map[string][]byte, error)
	// SetState writes rows of a side's memory; the ticket is of the same numbering as Bind's.
	SetState(side SideID, rows ...StateRow) (ticket uint64)
	// Count adds to a side's durable counter, for example maybe_duplicate.
	Count(side SideID, name string, n int)
}

// MaybeDuplicate is the counter for legs sent again although the wire may have had them, Reordered for those that
// overtook one which the far side wanted later.
const (
	MaybeDuplicate = "maybe_duplicate"
	Reordered      = "reordered"
)

// Unconfirmed is the counter for legs that were settled and then bounced, for nothing proves that they arrived.
const Unconfirmed = "unconfirmed"

// Count names one durable counter.
type Count struct {
	Name   string // received, delivered, duplicate, ignored, refused, dead, bounced, maybe_duplicate, …
	Side   SideID // where the message came from; for maybe_duplicate where it went
	Reason string // fixed word, for ignored, refused, dead and bounced; else empty
}

// Account is the book's own view of the promise: for each origin, once nothing is in the hands of the
// intake, received = delivered + duplicate + ignored + refused + dead + pending. Unit: messages as offered.
type Account struct {
	Counts  map[Count]int64
	Pending map[SideID]int64 // messages taken and not closed, by origin
	Open    map[SideID]int64 // mail legs not closed, by destination
	Oldest  time.Duration    // how long the oldest pending message has waited; zero: none
	Keys    int
	Bytes   int64 // in use
	Limit   int64
	Full    bool // nothing is taken now
	// Deliveries wait, those of answers too; MaxDeliveries is their limit (0: none), and Crowded that it is
	// the reason for Full.
	Deliveries, MaxDeliveries int64
	Crowded                   bool
	Trouble                   string // why nothing can be written (disk full); empty: all well
}

// Accounts is what the status page reads. The journal implements it.
type Accounts interface {
	Account() Account
}

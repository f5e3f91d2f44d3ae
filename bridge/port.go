// Package bridge is the sorting room of the relay: it judges what the sides take in, routes it, stamps
// it into the book and has couriers hand it out again. It knows no protocol, no topic and no JID.
//
// port.go, with inbound.go, record.go, delivery.go and account.go, holds everything the other rooms build against:
// the sides (mqttside, xmppside) implement Side and call Inlet and Desk; the journal implements Book, Ledger and Desk.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"
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

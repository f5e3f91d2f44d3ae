// Package bridge decides about messages: it judges what the sides offer, routes it, appends it to the journal, and
// has dispatchers hand it to the other side. It knows no protocol, no topic and no JID.
//
// ports.go, with inbound.go, record.go, delivery.go and balance.go, holds everything the other packages build against:
// the sides (mqttside, xmppside) implement Side and call Inlet and SideJournal; the journal implements Appender,
// Queue, SideJournal and Balance.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// SideID names one of the two networks. It is stored in the journal: never renumber.
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
	// ErrDown: the delivery never reached the wire. Keep it, send the same delivery again, first in its lane.
	ErrDown = errors.New("side is down")
	// ErrFull: not taken, the journal is full. MQTT drops the message unacknowledged and keeps its
	// connection; XMPP answers resource-constraint, type wait.
	ErrFull = errors.New("the journal is full")
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

// Untried is a RetryLater for a delivery that was not tried: it waits for another one of its lane. Nothing is written of it.
type Untried interface {
	RetryLater
	Untried()
}

// Side is one wire.
type Side interface {
	ID() SideID
	// Run connects, reconnects, reads and offers until ctx ends or the error is hopeless (bad
	// configuration). When ctx ends it leaves in good order within its drain time: Send answers
	// ErrDown, what is bound is waited for, what was offered is acknowledged, then it logs out; nil.
	Run(ctx context.Context, in Inlet) error
	// Send puts one delivery on the wire. It is called from one goroutine, in order. It blocks while the
	// side is disconnected or its window is full. When it returns nil the delivery has been bound
	// (Inflight.Bind) and the side will Settle or Unbind it. Any error means that it was never bound:
	// ErrDown: send the same delivery again, first in its lane; *Refusal: dead letter; ctx's error: give it
	// back; anything else: temporary, its lane alone backs off, or waits for as long as the error's
	// RetryIn says (RetryLater; Untried: and nothing is written of it).
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

	InvitedBy string // who has invited the relay there; empty: it is served anyway
	Unheard   int64  // messages refused there whose speaker nobody could be told, since the start
}

// Rooms is what the status page reads. The XMPP side implements it.
type Rooms interface {
	// Rooms lists the served rooms by name. It may be called from any goroutine.
	Rooms() []RoomState
}

// Appender takes records in. The journal implements it.
type Appender interface {
	// NewID reserves the next message number and a text made of it that is unique among all journals
	// ("cr-<journal>-<number>"), for messages that have no identity of their own.
	NewID() (uint64, string)
	// Append writes the records in order, in one transaction with their keys, deliveries, state rows and
	// totals, and is durable on return. It blocks for the commit and may be called from several
	// goroutines (their records share commits). Outcome is set on each record.
	//
	// What makes a VerdictTake record a duplicate: WireKey is known; or a key is known from the same origin;
	// or (origin MQTT only) from the other origin: an echo. Keys of the same batch and of commits in
	// flight count: twins wait for the first one's commit. A same-origin duplicate that is not
	// Redelivered and (MQTT) has the first one's Via is a sender's retry: still pending, silence;
	// settled: a "sent" notice (and a receipt) is added for it; dead or bounced: "failed".
	//
	// A VerdictReject with Keys leaves none of them, but if the journal knows one it is a duplicate: nobody is told that
	// what was delivered is refused.
	//
	// OutcomeFull is per record: known keys are still answered, and what is ignored or rejected is still counted
	// (from the reserve), unless it stands behind a full one that the wire brings again with all that followed
	// (Record.Redelivers). Once full, all VerdictTake records are OutcomeFull until usage is below 80 %. A record
	// beyond a share (Why is set) is full alone; from MQTT, which cannot keep it back alone, it is OutcomeRefused.
	// An error fails the whole call: nothing of it was taken. ErrFull (wrapped): disk full.
	Append(ctx context.Context, recs []*Record) error
}

// Result closes a delivery. A nil Err: settled. A *Refusal: dead. State rows go into the same transaction.
type Result struct {
	Ref   Ref
	Err   error
	State []StateRow // of the delivery's side
	// Body, with a *Refusal, is kept in the place of the message's if that was its only delivery; nil: nothing changes.
	Body []byte
	// Unproven: settled on a word that the wire also gives for what it drops (MQTT 3.1.1). The delivery counts as settled,
	// and is remembered across crashes until Confirmations.Confirm or Confirmations.BounceUnconfirmed.
	Unproven bool
}

// Queue is what dispatchers read. The journal implements it.
type Queue interface {
	// Next returns the oldest delivery of a lane that is neither bound nor handed out nor backing off,
	// lanes in turn by sender first, then by destination; it waits for one until ctx ends. The delivery is handed
	// out: the lane's next one may follow it at once, and the caller must see to it that it is bound, or give it back.
	Next(ctx context.Context, side SideID) (Outbound, error)
	// Release gives an unbound delivery back, first in its lane.
	Release(ref Ref)
	// Defer gives an unbound delivery back and holds its lane for a while, which no step of the clock makes longer
	// or shorter; reason is kept with it. The attempt is counted, and the while.
	Defer(ref Ref, wait time.Duration, reason string)
	// Hold is Defer for a delivery that was not tried, as it is not known yet whether it may leave: no attempt is
	// counted, and what Attempts says begins anew.
	Hold(ref Ref, wait time.Duration, reason string)
	// ReleaseAfter gives an unbound delivery back, and its lane pauses for a moment. Nothing is written, and nothing counted.
	ReleaseAfter(ref Ref, wait time.Duration)
	// Attempts says how often a delivery was deferred, and for how long in all: time in which its side was down is not in it.
	Attempts(ref Ref) (n int, waited time.Duration)
	// Settle closes deliveries, bound or handed out. See Inflight.Settle.
	Settle(results ...Result)
	// Delayed adds one "delayed" notice for each message that is pending for at least so long. Cheap when
	// there is none.
	Delayed(ctx context.Context, atLeast time.Duration) error
}

// BoundDelivery is a delivery that a wire held when the journal was last closed.
type BoundDelivery struct {
	Outbound
	Binding []byte // as last given to Bind
}

// SideJournal is what a side is given of the journal.
type SideJournal interface {
	Inflight
	Confirmations
	SideState
}

// Inflight is where a side records what is on its wire. Bind, Unbind and Settle, like SetState, Count and all of
// Confirmations, only enqueue, in order, into the writer's one queue; they never wait and may be called from any
// goroutine, even under a lock of the caller's.
type Inflight interface {
	// Bind records that a delivery is about to go on the wire as binding says ((session, packet id, phase) or
	// (stream, number)). Called again for a bound delivery it replaces the binding. The ticket is a running number.
	Bind(ref Ref, binding []byte) (ticket uint64)
	// Wait waits until everything up to ticket is committed. Only then may bytes that ticket covers
	// leave. An error: that commit failed, all bindings of it are undone and the deliveries are back with
	// Next; or ctx ended.
	Wait(ctx context.Context, ticket uint64) error
	// Bound lists what the wire still holds from before, in order of binding. A side reads it once,
	// before it first connects.
	Bound(ctx context.Context, side SideID) ([]BoundDelivery, error)
	// Unbind: the wire has lost these: back to Next, each in its old place in its lane.
	Unbind(refs ...Ref)
	// Settle closes deliveries, as settled (nil Err) or as dead (*Refusal): delivery, notice, totals and state rows
	// in one transaction. The last delivery of a message decides its notice. Settling twice is harmless. What cannot
	// be committed for want of space is tried again by the journal itself.
	Settle(results ...Result)
}

// Confirmations are what a wire learns of deliveries that were settled already.
type Confirmations interface {
	// Bounce: the far side gave back a delivery that was settled: counts it, marks the key, and sends the
	// sender "failed" while the message is still in the journal (an hour).
	Bounce(ref Ref, why *Refusal)
	// LastUnproven numbers the unproven results that Settle was given so far.
	LastUnproven() uint64
	// Confirm: the far side has taken all deliveries of a side that were settled as Unproven up to a number of
	// LastUnproven, those of earlier lives included.
	Confirm(side SideID, upTo uint64)
	// BounceUnconfirmed: all deliveries of a side that were settled as Unproven, up to such a number, and are not confirmed
	// may not have arrived. They are bounced in one transaction and counted as Unconfirmed; those of messages not longer than so
	// many bytes are confirmed instead (0: none).
	BounceUnconfirmed(side SideID, upTo uint64, longer int, why *Refusal)
}

// SideState is a side's own durable memory: rows and counters.
type SideState interface {
	// State reads all rows of a side's memory. A side reads it once, before it first connects.
	State(ctx context.Context, side SideID) (map[string][]byte, error)
	// SetState writes rows of a side's memory; the ticket is of the same numbering as Bind's.
	SetState(side SideID, rows ...StateRow) (ticket uint64)
	// Count adds to a side's durable counter, for example maybe_duplicate.
	Count(side SideID, name string, n int)
}

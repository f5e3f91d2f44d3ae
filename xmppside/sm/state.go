package sm

import (
	"context"
	"errors"
	"time"
)

// NS is the namespace of XEP-0198 version 1.4 and later.
const NS = "urn:xmpp:sm:3"

// Errors that say what to do next.
var (
	// ErrDown: not taken, the stream has been logged out.
	ErrDown = errors.New("sm: stream is down")
	// errFull: not taken, as many stanzas as the window allows are unacknowledged.
	errFull = errors.New("sm: window is full")
	// ErrBroken: the server resumed a stream that it cannot read (Prosody 0.12). The stream was given up;
	// log in anew.
	ErrBroken = errors.New("sm: resumed stream is broken")
	// ErrProtocol: the server's counts cannot be right. The stream was given up; log in anew.
	ErrProtocol = errors.New("sm: server acknowledges what it cannot have")
	// ErrSilent: no byte came for Config.DeadAfter. Reconnect.
	ErrSilent = errors.New("sm: connection is silent")
	// ErrBook: the Journal did not commit, or not in time. Reconnect.
	ErrJournal = errors.New("sm: journal did not commit")
	// ErrTooLarge: the server sent a stanza that is not read to its end. It counts as handled. Reconnect.
	ErrTooLarge = errors.New("sm: the server sends a stanza above 4 MiB, or of too many parts: it is passed over")
	// ErrAccount: the server bound an account that is not Config.Account. Nothing is sent to it.
	ErrAccount = errors.New("sm: the server bound an account that is not ours")
	// ErrRival: another connection is the same component, and was there first. Stand back.
	ErrRival = errors.New("sm: another connection is the same component")
	// ErrRedo: Handle.Redo ended the connection. Reconnect.
	ErrRedo = errors.New("sm: stanza is to be delivered again")
)

// Session is what a new process needs to resume: the server's name for the stream and what we have of it.
// The zero Session resumes nothing.
type Session struct {
	ID       string        `json:"id"`                 // of <enabled/>; empty: not resumable
	JID      string        `json:"jid"`                // full JID that was bound
	Location string        `json:"location,omitempty"` // host:port where the server wants the resumption
	Max      time.Duration `json:"max,omitempty"`      // how long the server holds a broken stream; 0: it did not say
	In       uint64        `json:"in"`                 // inbound stanzas that are durable; on the wire modulo 2^32
}

// Stanza is one whole outbound stanza.
type Stanza struct {
	N   uint64 // its number in the stream; on the wire modulo 2^32
	Raw []byte // never changed
	Tag any    // the sender's own handle; nil: written by mellium or not worth a record
	// Maybe tells, of a lost stanza, that the server may have it all the same: a resend may double it.
	Maybe bool
}

// State is what New starts from.
type State struct {
	Session
	// Queue lists what was bound under Session.ID and not acknowledged, in order of N. There may be gaps:
	// untagged stanzas are not in any journal.
	Queue []Stanza
}

// Journal makes bindings and sessions durable. Tickets are one running number: when one is committed, all
// before it are.
type Journal interface {
	// Bind records that s is about to leave as number s.N of stream id (empty: no XEP-0198). It is called
	// for tagged stanzas only; again, with another number, when a resumption shifts it. It must not wait.
	Bind(s Stanza, id string) (ticket uint64)
	// Save replaces the saved Session; one without ID removes it. What is saved later, on its own or by a
	// transaction that carries Handle.Session, must be applied later. It must not wait.
	Save(s Session) (ticket uint64)
	// Wait waits until everything up to ticket is committed. An error that is not ctx's means: this
	// commit failed and its bindings are undone; the Stream forgets those stanzas.
	Wait(ctx context.Context, ticket uint64) error
}

// Config is how a Stream behaves. Zero values mean the defaults in brackets.
type Config struct {
	Account  string // bare JID that the server must bind; empty: any
	Resource string // asked for when binding; empty: the server makes one
	Self     string // of a component: a name that no other relay has, without -
	Window   int    // unacknowledged stanzas with a tag after which Send waits [400]
	ReadSize int    // bytes that the server reads at a time: it shall never stand within a stanza, save a larger one [no bound]
	AskCount int    // stanzas after which an <r/> is sent even when one is unanswered [64]

	AskEvery       time.Duration // <r/> when nothing came for so long [10s]
	DeadAfter      time.Duration // the connection is given up when no byte came for so long [30s]
	VerifyWithin   time.Duration // a resumed stream must answer <r/> within [5s]
	WriteTimeout   time.Duration // one write may take [10s]
	JournalTimeout time.Duration // one commit may take [10s]

	Journal Journal             // nil: nothing survives the process
	Acked   func(done []Stanza) // tagged stanzas that the server has, in order; must not wait
	// TooLarge is called when a stanza is passed over (ErrTooLarge), before the connection ends: until all that came
	// before it is done the server cannot be told, and brings it again.
	TooLarge func()
	// Shared is called when another connection of the component begins, or ceases, to get a part of what comes. It may take its time.
	Shared func(on bool)
	Clock  Clock // nil: the machine's
}

// Clock is time, for tests to drive.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}

// End says how a connection ended.
type End struct {
	// Err is why: nil after a clean logout or when the server closed the stream; ErrBroken, ErrProtocol,
	// ErrSilent, ErrBook, ErrRedo, or what the network or mellium said.
	Err error
	// Condition is the server's stream error (RFC 6120 §4.9.3), such as "not-well-formed"; empty: none. Unlike
	// mellium's error it is there whatever else the error element holds.
	Condition string
	// Text is what the server said with it.
	Text string
	// Suspects were written on this connection and not acknowledged when it ended.
	Suspects []Stanza
	// Resumable tells that the next Connection will try to resume.
	Resumable bool
}

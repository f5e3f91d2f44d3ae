package muc

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// Login is the login on which rooms are joined.
type Login interface {
	stanza.Asker
	// Context ends with the login.
	Context() context.Context
	// Write puts a whole stanza on the connection. It is queued, not waited for.
	Write(raw []byte) error
	// Go runs f beside the reading. It ends with the login, which waits for it.
	Go(f func())
}

// Side is what rooms need of the side. Its methods never wait.
type Side interface {
	// Requeued: a bound delivery went back into the journal. Nothing that waits to be sent may overtake it.
	Requeued()
	// Changed: something that others wait for may have changed.
	Changed()
	// Leaving tells whether we are about to log out.
	Leaving() bool
	// GaveBack says that a message of ours is dead because it was given back.
	GaveBack(b *Bounce)
}

// Archives are what rooms have archived.
type Archives interface {
	// Room reads what a room's archive has since a time, until f says that it has enough.
	Room(ctx context.Context, c stanza.Asker, room string, since time.Time, f func(msg *stanza.Element) (more bool)) error
	// RoomDone: the next Room begins anew.
	RoomDone(room string)
}

// Config is how rooms are joined, and by whom.
type Config struct {
	Rooms []string
	Nick  string
	// Component is the domain of landlines' addresses; empty: the relay is a client.
	Component string
	// Ours tells whether an id is of a stanza that we sent to a room.
	Ours func(id, room string) bool
	// Trusted tells whether a bare JID may invite the relay; nil: nobody may.
	Trusted func(bare string) bool

	Side     Side
	Archives Archives
	Journal  bridge.SideJournal
	Log      zerolog.Logger
}

// landline tells whether a bare JID is a landline's address.
func (c *Config) landline(bare string) bool {
	return c.Component != "" && bare != c.Component && stanza.Domain(bare) == c.Component
}

// Bounce is a stanza of ours that was given back.
type Bounce struct {
	Ref   bridge.Ref
	Why   *bridge.Refusal
	Room  string // it was a room post
	Later bool   // the far side wants it again after a while (RFC 6120 §8.3.2, type wait)
	Seat  bool   // so a room answers who is not in it, too (XEP-0045 §7.4)
	Gone  bool   // so a server answers for a room that it does not have
}

// Post is a room post as a stanza carries it. Each stanza has its own.
type Post struct {
	Ref  bridge.Ref
	To   string // bare JID
	ID   string
	From string // the sender's landline
	Sum  uint64 // of its body
	As   string // bare JID of the landline whose occupant says it; empty: the relay's own
}

package xmppside

import (
	"context"
	"encoding/xml"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mellium.im/xmlstream"
	"mellium.im/xmpp"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// connection is one logged-in connection.
type connection struct {
	l      *sm.Connection
	sess   *xmpp.Session
	full   string // our JID, with the resource; a component's has none
	addr   string // where the server is
	tls    string // version; empty: none
	limit  int    // bytes of a stanza that the server takes; 0: it did not say
	absurd string // what it said instead of a limit
	asking asking
	askers askers

	offersTLS bool // STARTTLS

	own ownAddress

	// Of one that a side has; not of a check's.
	s           *Side
	gen         uint64         // of what is offered; kept over a resumption
	lastMessage atomic.Int64   // when the last message came, Unix ns
	readyAt     atomic.Int64   // when messages could go out, Unix ns; 0: never
	holdback    holdback       // of live messages while stored ones come
	wg          sync.WaitGroup // of what runs beside the reading; all end with the connection
}

// Context implements muc.Login and mam.Login. It ends with the connection.
func (c *connection) Context() context.Context { return c.l.Context() }

// Go implements muc.Login.
func (c *connection) Go(f func()) { c.wg.Go(f) }

// handle is given each stanza once, in order, on the goroutine that reads.
func (c *connection) handle(m sm.Handle, t xmlstream.TokenReadEncoder, start *xml.StartElement) {
	e, err := stanza.Read(t, start)
	if errors.Is(err, sm.ErrTooLarge) {
		c.s.archive.PassedOver(e)
		c.s.rooms.Posts.TooLarge(e)
	}
	if err != nil {
		return // cut in the middle: the server brings it again
	}
	switch start.Name.Local {
	case "iq":
		c.iq(t, start, e, c.s.cfg.Version, c.s.asker(e.Get("from")))
		m.Done()
	case "presence":
		if c.s.rooms.Seats.Hears(e) {
			if unmake := c.s.rooms.Seats.Unmake(e); unmake != nil {
				c.l.Reply(unmake, mostReplies)
			}
			m.Done()
			return
		}
		if c.own.isComponent() {
			answerPresence(c, e)
		} else {
			c.subscription(e)
		}
		c.s.rooms.Presence(e) // its rows are queued before the mark is saved
		c.s.others.presence(c, e)
		m.Done()
	case "message":
		c.message(m, e)
	default:
		m.Done()
	}
}

// message offers a message, unless it is an answer of the archive.
func (c *connection) message(m sm.Handle, e *stanza.Element) {
	s := c.s
	c.lastMessage.Store(wait.Running(time.Now()))
	if s.archive.Result(m, e) {
		return
	}
	if s.rooms.Seats.Hears(e) || s.events.hears(e) {
		m.Done()
		return
	}
	if leave := s.rooms.Seats.Stray(e); leave != nil && c.askers.allow(stanza.Bare(e.Get("from"))) {
		c.l.Reply(leave, mostReplies)
	}
	s.rooms.Message(e)
	s.rooms.Posts.Reflected(e)
	v := s.classify(e)
	switch b := v.bounced; {
	case b == nil:
	case b.Room != "":
		s.rooms.Posts.Bounced(b)
	default:
		s.journal.Bounce(b.Ref, b.Why)
		s.gaveBack(b)
	}
	if v.invited != nil {
		answerInvitation(s.rooms.Invitations, v.invited)
	}
	if v.suspect != "" {
		s.rooms.Suspect(v.suspect)
	}
	if v.in.Refused != nil && v.in.Room != "" && v.in.Reply.IsZero() {
		s.rooms.Refused(v.in.Room, v.in.Refused)
	}
	it := item{c: c, m: m, in: v.in}
	if v.archiveID != "" && s.archive.Known() {
		it.in.WireID = mam.WireID(v.archiveID, e)
		it.archived = v.archiveID
	}
	c.holdOrOffer(it, e)
}

// age is how long messages could go out.
func (c *connection) age(now time.Time) time.Duration {
	at := c.readyAt.Load()
	if at == 0 {
		return 0
	}
	return now.Sub(wait.At(at))
}

// item is one offer on its way.
type item struct {
	c        *connection
	m        sm.Handle
	in       bridge.Inbound
	archived string      // its id in the archive, when it moves the cursor and came live
	stored   time.Time   // when the server stored it for us; zero: it came live
	cursor   *mam.Cursor // where the archive stands behind it
	period   int         // of the inbox
}

// sendPresence makes us available: live messages come, and what the server has stored.
func (c *connection) sendPresence() bool {
	if c.Write([]byte(available)) != nil {
		c.holdback.release(c.s.inbox.push)
		return false
	}
	return true
}

package xmppside

import (
	"encoding/xml"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mellium.im/xmlstream"

	"chatrelay/bridge"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// login is one login of the side.
type login struct {
	*connection
	s           *Side
	gen         uint64         // of what is offered; kept over a resumption
	lastMessage atomic.Int64   // when the last message came, Unix ns
	readyAt     atomic.Int64   // when messages could go out, Unix ns; 0: never
	holdback    holdback       // of live messages while stored ones come
	wg          sync.WaitGroup // of what runs beside the reading; all end with the connection
}

// handle is given each stanza once, in order, on the goroutine that reads.
func (c *login) handle(m sm.Handle, t xmlstream.TokenReadEncoder, start *xml.StartElement) {
	e, err := stanza.Read(t, start)
	if errors.Is(err, sm.ErrTooLarge) {
		c.s.archive.PassedOver(e)
		c.s.rooms.posts.tooLarge(e)
	}
	if err != nil {
		return // cut in the middle: the server brings it again
	}
	switch start.Name.Local {
	case "iq":
		c.iq(t, start, e, c.s.cfg.Version, c.s.asker(e.Get("from")))
		m.Done()
	case "presence":
		c.subscription(e)
		c.s.rooms.presence(e) // its rows are queued before the mark is saved
		c.s.others.presence(c, e)
		m.Done()
	case "message":
		c.message(m, e)
	default:
		m.Done()
	}
}

// message offers a message, unless it is an answer of the archive.
func (c *login) message(m sm.Handle, e *stanza.Element) {
	s := c.s
	c.lastMessage.Store(time.Now().UnixNano())
	if s.archive.Result(m, e) {
		return
	}
	s.rooms.configured(e)
	s.rooms.affiliated(e)
	s.rooms.posts.reflected(e)
	v := s.classify(e)
	switch b := v.bounced; {
	case b == nil:
	case b.room != "":
		s.rooms.posts.bounced(b)
	default:
		s.journal.Bounce(b.ref, b.why)
		s.gaveBack(b)
	}
	if v.suspect != "" {
		s.rooms.suspect(v.suspect)
	}
	if v.in.Refused != nil && v.in.Room != "" && v.in.Reply.IsZero() {
		s.rooms.refused(v.in.Room, v.in.Refused)
	}
	it := item{c: c, m: m, in: v.in}
	if v.archiveID != "" && s.archive.Known() {
		it.in.WireID = mam.WireID(v.archiveID, e)
		it.archived = v.archiveID
	}
	c.holdOrOffer(it, e)
}

// age is how long messages could go out.
func (c *login) age(now time.Time) time.Duration {
	at := c.readyAt.Load()
	if at == 0 {
		return 0
	}
	return now.Sub(time.Unix(0, at))
}

// item is one offer on its way.
type item struct {
	c        *login
	m        sm.Handle
	in       bridge.Inbound
	archived string      // its id in the archive, when it moves the cursor and came live
	stored   time.Time   // when the server stored it for us; zero: it came live
	cursor   *mam.Cursor // where the archive stands behind it
	period   int         // of the inbox
}

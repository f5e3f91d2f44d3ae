package sm

import (
	"context"
	"time"
)

// What a server may send between the end of one element and the end of the next. A stanza is read whole, and costs up to
// some hundred bytes for each tag and attribute.
const (
	mostStanza = 4 << 20
	mostNodes  = 1 << 17 // a stanza of 256 KiB has fewer
)

// tellWithin is how long the journal may take to note that a stanza was passed over.
const tellWithin = 2 * time.Second

func (s *scanner) tooLarge() bool { return s.size > mostStanza || s.nodes > mostNodes }

// tooLarge ends a connection whose server goes on and on. A stanza is counted as handled all the same: else the server
// would send it again after each resumption.
func (c *transport) tooLarge() error {
	if c.inStanza && c.counting {
		c.finished, c.entered = c.started, c.started
		c.connection.skip(c.started)
	}
	c.broken = ErrTooLarge
	c.connection.fail(ErrTooLarge)
	return c.broken
}

// skip settles stanza n, whose end nobody waits for, and waits a little until the server was told so: a stream that is
// not resumed would bring it again.
func (l *Connection) skip(n uint64) {
	s := l.st
	s.mu.Lock()
	if s.connection == l && !l.refuse {
		s.in.handed = max(s.in.handed, n)
		s.in.finish(n)
		s.in.settle(n)
		s.progress()
	}
	s.mu.Unlock()
	if s.cfg.TooLarge != nil {
		s.cfg.TooLarge()
	}
	ctx, cancel := context.WithTimeout(l.ctx, tellWithin)
	defer cancel()
	_ = l.until(ctx, func() bool { return s.in.ackable() >= n && (!l.managed || l.ackedOut >= n) }) // later then: the server sends it once more
}

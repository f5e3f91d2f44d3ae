package xmppside

import (
	"context"
	"time"

	"chatrelay/internal/wait"
)

// People are told who is there at a pace that no server's limits cut off, and that leaves room for messages.
const (
	announceAtOnce = 50
	announceEvery  = 20 * time.Millisecond
	announceBehind = 200 // stanzas that are not confirmed: nothing more is told then
)

// announce tells people which landlines are there, as long as the login lasts.
func (s *Side) announce(ctx context.Context, c *connection) {
	s.contacts.tellAll(false, time.Now())
	for wait.Pause(ctx, announceEvery) {
		if s.st.Unacked() > announceBehind {
			continue
		}
		s.contacts.tellLate(time.Now())
		if batch := s.contacts.next(announceAtOnce); len(batch) > 0 && c.Write(batch) != nil {
			return
		}
	}
}

// sendUnavailable tells people that no landline is there any more, as far as there is time.
func (s *Side) sendUnavailable(ctx context.Context, c *connection) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Drain/4) // what is bound must still be confirmed
	defer cancel()
	s.contacts.tellAll(true, time.Now())
	for ctx.Err() == nil {
		batch := s.contacts.next(announceAtOnce)
		if len(batch) == 0 || c.Write(batch) != nil {
			return
		}
		for s.st.Unacked() > announceBehind && wait.Pause(ctx, announceEvery) {
		}
	}
}

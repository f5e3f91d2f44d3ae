package xmppside

import (
	"context"
	"errors"
	"fmt"

	"chatrelay/bridge"
)

// defaultStanza is how many bytes of a stanza servers take that do not say (XEP-0478): less than the 256 KiB at
// which Prosody and ejabberd close the stream.
const defaultStanza = 255 << 10

// Send puts one delivery on the stream. See bridge.Side.
func (s *Side) Send(ctx context.Context, out bridge.Outbound) error {
	var r rendered
	since := s.requeues(0)
	if since != s.seen {
		s.seen = since
		return bridge.ErrDown // it was handed out before those came back: the first in its lane may be another now
	}
	for {
		c, limit, err := s.ready(ctx)
		if err != nil {
			return err
		}
		if now := s.requeues(0); now != since {
			s.seen = now
			return bridge.ErrDown // what was given back meanwhile goes first
		}
		if r.raw == nil {
			var why *bridge.Refusal
			if r, why = s.render(&out); why != nil {
				return why
			}
		}
		if len(r.raw) > limit {
			return bridge.Refuse("too_large", "the message is longer than the %d bytes that the XMPP server takes", limit)
		}
		if r.room && !s.rooms.joined(r.to) {
			return fmt.Errorf("xmpp: not in room %s", r.to)
		}
		x := r.outgoing // a stanza's own: its binding changes
		if x.room {
			if err := s.rooms.posts.reserve(&x); err != nil {
				return err
			}
		}
		if s.put(ctx, c, r.raw, &x) {
			return nil
		}
		s.rooms.posts.withdraw(&x)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// put waits for room on the stream as long as the login lasts.
func (s *Side) put(ctx context.Context, c *login, raw []byte, tag *outgoing) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.l.Context(), cancel)()
	_, err := s.st.Send(ctx, raw, tag)
	return err == nil
}

// requeues counts how often bound deliveries went back into the journal. A delivery that waits in Send must not overtake them.
func (s *Side) requeues(more int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requeued += more
	return s.requeued
}

// ready waits until there is a login that messages may go out on.
func (s *Side) ready(ctx context.Context) (*login, int, error) {
	for {
		change := s.changed.Wait()
		s.mu.Lock()
		c, stopping, limit := s.live, s.stopping, s.limit
		s.mu.Unlock()
		switch {
		case stopping:
			return nil, 0, bridge.ErrDown
		case c != nil && c.l.Context().Err() == nil:
			return c, limit, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

var errNoLogin = errors.New("xmpp: not logged in")

package xmppside

import (
	"context"
	"fmt"

	"mellium.im/xmpp/jid"

	"chatrelay/bridge"
	"chatrelay/message"
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
		if out.Kind == bridge.KindRoom && s.texts {
			if err := s.takeSeat(c, &out); err != nil {
				return err
			}
			r.raw = nil // who says it may have changed
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
		if r.post != nil && !s.rooms.Joined(r.to) {
			return fmt.Errorf("xmpp: not in room %s", r.to)
		}
		x := r.outgoing // a stanza's own: its binding changes
		if x.post != nil {
			post := *r.post
			x.post = &post
			if err := s.rooms.Posts.Reserve(x.post); err != nil {
				return err
			}
		}
		if s.put(ctx, c, r.raw, &x) {
			return nil
		}
		if x.post != nil {
			s.rooms.Posts.Withdraw(x.post)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Window is how many messages may be on the stream now and not confirmed; 0: nothing goes out.
func (s *Side) Window() int {
	if !s.isLive() {
		return 0
	}
	return s.st.Window()
}

// put waits for room on the stream as long as the login lasts.
func (s *Side) put(ctx context.Context, c *connection, raw []byte, tag *outgoing) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.l.Context(), cancel)()
	_, err := s.st.Send(ctx, raw, tag)
	return err == nil
}

// takeSeat sees to it that a landline speaks in a room itself, if it can.
func (s *Side) takeSeat(c *connection, out *bridge.Outbound) error {
	full := s.addr.sitsAs(out.From)
	if full == "" || !s.rooms.Serves(out.To) || !s.rooms.Joined(out.To) {
		return nil
	}
	return s.rooms.Seats.Take(c, out.To, full, func() string {
		s.contacts.learn(out.From, message.TextOf(out.Body).Name)
		nick := s.contacts.nickOf(out.From)
		if _, err := jid.New("", s.addr.own, nick); err != nil {
			return out.From
		}
		return nick
	})
}

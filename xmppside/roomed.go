package xmppside

import (
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/muc"
	"chatrelay/xmppside/sm"
)

// roomHost is the side as its rooms see it.
type roomHost struct{ s *Side }

// Requeued implements muc.Side.
func (h roomHost) Requeued() { h.s.requeues(1) }

// Changed implements muc.Side.
func (h roomHost) Changed() { h.s.changed.Wake() }

// Leaving implements muc.Side.
func (h roomHost) Leaving() bool { return h.s.leaving() }

// GaveBack implements muc.Side.
func (h roomHost) GaveBack(b *muc.Bounce) { h.s.gaveBack(b) }

// Rooms implements bridge.Rooms.
func (s *Side) Rooms() []bridge.RoomState { return s.rooms.States() }

// Standing implements bridge.Standings.
func (s *Side) Standing(room, landline string) bridge.Standing {
	bare, why := s.addr.jidOf(landline)
	if why != nil {
		bare = "" // nobody's address: only a row can make him a member
	}
	s.mu.Lock()
	c := s.current
	s.mu.Unlock()
	now := time.Now()
	if c == nil {
		return s.rooms.Standing(room, bare, nil, 0, now)
	}
	return s.rooms.Standing(room, bare, c, c.age(now), now)
}

// Serve changes, while the side runs, which rooms are served and which landlines have a row of the identity table.
// New rooms are joined. One that is gone gets no more posts; it is left once it has reflected those that it was sent.
// A post that still waits for it is a dead letter, as after a restart. It may be called from any goroutine.
func (s *Side) Serve(rooms []string, identity map[string]string) {
	s.addr.change(identity)
	s.rooms.Serve(rooms)
}

// takeLost takes from the stream what it has lost. Room posts are looked for in their rooms, the rest is returned.
func (s *Side) takeLost() (rest []sm.Stanza) {
	for _, x := range s.st.Lost() {
		l := x.Tag.(*outgoing)
		if l.post == nil {
			rest = append(rest, x)
			continue
		}
		s.rooms.Posts.Lose(l.post, x.Maybe)
		delete(s.poison.buried, l.ref)
	}
	s.rooms.Posts.Verify()
	return rest
}

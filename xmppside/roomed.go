package xmppside

import (
	"slices"
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

// Follows implements bridge.Belonging.
func (s *Side) Follows(room string) bool { return s.rooms.Invitations.Follows(room) }

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
	out := s.rooms.Standing(room, bare, c, c.age(now), now)
	if out == bridge.StandingNone { // a device may be on the room's lists by its own address; that it sits there is the relay's doing
		if own, why := s.addr.speaksAs(landline); why == nil && own != "" && s.rooms.Members.Listed(room, own) {
			return bridge.StandingMember
		}
	}
	return out
}

// Members implements bridge.Belonging. People of the room count by their landlines, devices by their own addresses; of a client rows alone
// do: there who is in a room has the words by XMPP.
func (s *Side) Members(room string, rows []string) []string {
	if !s.addr.isComponent() {
		return rows
	}
	out := slices.Clip(rows)
	for _, bare := range s.rooms.Members.Of(room) {
		landline := s.addr.landlineOf(bare)
		if own, ok := s.addr.addressee(bare); landline == "" && ok && bare != s.addr.own {
			landline = own
		}
		if landline != "" {
			out = append(out, landline)
		}
	}
	return out
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

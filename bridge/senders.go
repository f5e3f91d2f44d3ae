package bridge

// Senders knows who may post to groups (CHATRELAY_GROUP_SENDERS). The groups file has the operator's word, the room
// its own: who has a row, may speak in the room, or is on its lists may post, unless the room has banned him or lets
// him only listen. The relay's own occupant may speak there; it must not do so for those who may not.
//
// It may be used from any goroutine.
type Senders struct {
	directory func() *Directory // for what is asked when a message leaves
	rooms     Standings         // nil: whoever can reach the relay may post
}

// NewSenders makes the rule "members"; rooms nil: "any".
func NewSenders(directory func() *Directory, rooms Standings) *Senders {
	return &Senders{directory: directory, rooms: rooms}
}

// permission is the answer to who may post.
type permission uint8

const (
	permitted permission = iota
	forbidden
	undecided // the room's state is not known
	abandoned // nor will it be, by the look of it
)

// post tells whether a landline may post to a room; via is the inbox on which its message came, or empty.
func (s *Senders) post(d *Directory, room, from, via string) permission {
	if s == nil || s.rooms == nil {
		return permitted
	}
	out := permitted
	switch standing := s.rooms.Standing(room, from); standing {
	case StandingUnknown, StandingOutOfReach, StandingLost:
		out = undecided
	case StandingOutcast, StandingVisitor:
		return forbidden // a row does not give back what the room has taken
	case StandingNone:
		if !d.HasRow(room, from) {
			return forbidden
		}
	}
	if via == "" || via == from {
		return out
	}
	// Who publishes on an inbox can write there by the broker's leave. That is no leave to write into any group.
	switch s.rooms.Standing(room, via) {
	case StandingUnknown, StandingOutOfReach, StandingLost:
		return undecided
	case StandingOutcast:
		return forbidden
	case StandingNone:
		if !d.HasRow(room, via) {
			return forbidden
		}
	}
	return out
}

// leaves tells whether a delivery whose message was taken undecided may go now. A room post goes to a room that we are in,
// so its state is soon known. An inbox is not to wait for a room that stays away: there the row alone counts in the
// end, as ours is the only word about who belongs to the group.
func (s *Senders) leaves(out *Outbound) permission {
	p := out.Note.Post
	if p == nil || s == nil || s.rooms == nil {
		return permitted
	}
	d := s.directory()
	answer := s.post(d, p.Room, out.From, p.Via)
	if answer != undecided {
		return answer
	}
	standing := s.rooms.Standing(p.Room, out.From)
	switch away := standing == StandingOutOfReach || standing == StandingLost; {
	case away && out.Kind == KindCopy && d.HasRow(p.Room, out.From):
		return permitted
	case standing == StandingLost:
		return abandoned
	}
	return undecided
}

// NotMember is the reason of a refused group message.
const NotMember = "not_a_member"

func notMember() *Refusal {
	return Refuse(NotMember, "you may not post to this group: who is in its room and may speak there, is a member of the room, or has a row in the relay's groups file may")
}

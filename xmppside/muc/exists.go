package muc

import (
	"context"
	"fmt"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// No room is ever made by the relay: one that it made would belong to it alone, and Prosody would lock everybody else
// out. So a room is asked whether it is there before it is joined.

// Unusable is a room that somebody has to put right.
type Unusable struct{ Wrong, Fix string }

func (e *Unusable) Error() string { return e.Wrong + ": " + e.Fix }

var (
	ErrNoRoom  error = &Unusable{"there is no such room", "make it first, or " + leaveOut}
	errNotRoom error = &Unusable{"this is not a room", leaveOut}
)

const leaveOut = "take it out of CHATRELAY_XMPP_ROOMS and CHATRELAY_GROUPS_FILE"

// created stands for a condition of a refusal: our presence has made the room (XEP-0045 §10.1.1, status 201).
const created = "created"

// FindRoom asks for a room (XEP-0045 §6.4). A room that says no to the question is there.
func FindRoom(ctx context.Context, k stanza.Asker, room string) error {
	info, err := k.Ask(ctx, room, "get", stanza.Disco)
	switch {
	case stanza.IsCondition(err, "item-not-found", "gone"):
		return ErrNoRoom
	case stanza.IsCondition(err, "remote-server-not-found", "remote-server-timeout", "service-unavailable", "internal-server-error", "resource-constraint"):
		return fmt.Errorf("the room's service cannot be reached (%w)", err)
	case stanza.IsAnswer(err):
		return nil
	case err != nil:
		return fmt.Errorf("the room does not answer (%w)", err)
	case !stanza.HasFeature(info, stanza.NSMUC):
		return errNotRoom
	}
	return nil
}

// unmake takes back a room that our presence has made all the same: it went away between question and join.
func unmake(ctx context.Context, k Login, room, nick string, alone bool) {
	if alone { // XEP-0045 §10.9
		if _, err := k.Ask(ctx, room, "set", "<query xmlns='"+stanza.NSMUCOwner+"'><destroy/></query>"); err == nil {
			return
		}
	}
	_ = k.Write(leavePresence(room + "/" + nick)) // fails with the line
}

// unmake needs the nick under which the room was made.
func (r *room) unmake(ctx context.Context, rs *Rooms, c Login, nick string) {
	rs.mu.Lock()
	alone := true
	for other := range r.people.real {
		alone = alone && other == nick
	}
	rs.cfg.Journal.SetState(bridge.XMPP, r.clear()...)
	rs.mu.Unlock()
	unmake(ctx, c, r.jid, nick, alone)
}

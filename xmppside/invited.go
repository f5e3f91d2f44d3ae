package xmppside

import (
	"strings"

	"mellium.im/xmpp/jid"

	"chatrelay/message"
	"chatrelay/xmppside/muc"
	"chatrelay/xmppside/stanza"
)

const nsConference = "jabber:x:conference" // XEP-0249

// invitation is that the relay shall come to a room.
type invitation struct {
	room, by string
	refused  string // why it is not followed; empty: it is
}

// invitationOf reads one (XEP-0249, XEP-0045 §7.8.2); nil: the stanza is none, or not for the relay itself.
func (s *translator) invitationOf(e *stanza.Element, from string) *invitation {
	if to, ok := s.addr.addressee(e.Get("to")); !ok || to != "" {
		return nil
	}
	switch e.Get("type") {
	case "normal", "chat", "":
	default:
		return nil
	}
	var v invitation
	direct := e.Only(nsConference, "x")
	mediated := e.Only(stanza.NSMUCUser, "x").Child(stanza.NSMUCUser, "invite")
	switch body := e.Child(stanza.NSClient, "body"); {
	case mediated != nil: // the room says who has invited us: its word counts where its service is one of the users' server, or of a room that the configuration names
		v = invitation{room: from, by: stanza.Bare(mediated.Get("from"))}
		if service := stanza.Domain(from); !strings.HasSuffix(service, "."+s.addr.domain) && !s.rooms.Invitations.Believes(service) {
			v.refused = "it is the word of a chat service that the relay knows nothing of: let who may invite say so itself (XEP-0249)"
		}
	case direct != nil && (body == nil || !message.IsEnvelope([]byte(body.Text))):
		v = invitation{room: direct.Get("jid"), by: stanza.Bare(from)}
	default:
		return nil
	}
	at, err := jid.Parse(v.room)
	switch {
	case v.by == "" || !s.addr.trusted[v.by]:
		v.refused = "who invites is none of CHATRELAY_TRUSTED_JIDS"
	case err != nil || at.Localpart() == "" || at.Resourcepart() != "" || at.String() != v.room || stanza.Domain(v.room) == s.addr.component():
		v.refused = "it names no room"
	}
	return &v
}

// answerInvitation follows an invitation, or not.
func answerInvitation(to *muc.Invitations, v *invitation) {
	switch {
	case v.refused != "":
		to.Refuse(v.room, v.by, v.refused)
	case !to.Follow(v.room, v.by):
		to.Refuse(v.room, v.by, "the relay was invited to more rooms than it follows")
	}
}

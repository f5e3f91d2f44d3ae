package muc

import (
	"time"

	"chatrelay/xmppside/stanza"
)

// joinPresence asks for the history since a time; zero: for none.
func joinPresence(occupant string, since time.Time) []byte {
	history := "maxstanzas='0'"
	if !since.IsZero() {
		history = "since='" + since.UTC().Format(stanza.StampLayout) + "'" // XEP-0045 §7.2.14
	}
	return append(stanza.AppendAttr([]byte("<presence"), "to", occupant),
		"><x xmlns='"+stanza.NSMUC+"'><history "+history+"/></x></presence>"...)
}

func leavePresence(occupant string) []byte {
	return append(stanza.AppendAttr([]byte("<presence type='unavailable'"), "to", occupant), "/>"...)
}

func refusedText(condition string) string {
	switch condition {
	case "registration-required":
		return condition + " (members only: make the relay's account a member)"
	case "forbidden":
		return condition + " (the relay's account is banned)"
	case "not-authorized":
		return condition + " (the room wants a password)"
	case "item-not-found", "not-allowed":
		return condition + " (there is no such room, and we may not make it)"
	case "service-unavailable":
		return condition + " (the room is full, or has no service)"
	case "conflict":
		return condition + " (our nicks are taken: CHATRELAY_XMPP_NICK)"
	}
	return condition
}

// statuses are the codes of a room's presence (XEP-0045 §15.6).
func statuses(e *stanza.Element) (codes []string) {
	x := e.Only(stanza.NSMUCUser, "x")
	if x == nil {
		return nil
	}
	for _, st := range x.All(stanza.NSMUCUser, "status") {
		codes = append(codes, st.Get("code"))
	}
	return codes
}

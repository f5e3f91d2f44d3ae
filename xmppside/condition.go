package xmppside

import (
	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// condition is how a stanza error says it (RFC 6120 §8.3.3): what it is, and what its receiver might do.
type condition struct{ kind, name string }

// laterCondition is for a message that failed after it was taken: nothing is wrong with the stanza any more, the
// way is. "wait" tells its sender that another try may help (RFC 6120 §8.3.2).
func laterCondition(reason string) condition {
	switch reason {
	case "bounce_full", "full", "busy":
		return condition{"wait", "resource-constraint"}
	case "bounce_unreachable", "gave_up":
		return condition{"wait", "remote-server-timeout"}
	case "bounce_no_such_user", "bad_address", "unknown_room":
		return condition{"cancel", "item-not-found"}
	case "bounce_forbidden", "not_a_member":
		return condition{"auth", "forbidden"}
	case "too_large":
		return condition{"modify", "policy-violation"}
	case "bounce_not_acceptable", "xml_illegal":
		return condition{"modify", "not-acceptable"}
	}
	return condition{"cancel", "service-unavailable"}
}

// conditionOf finds the one for a refusal's word. What a sender did wrong in an envelope is bad-request.
func conditionOf(reason string) condition {
	switch reason {
	case "from_mismatch", "unknown_sender", "denied", bridge.NotMember:
		return condition{"auth", "forbidden"}
	case "full", "rate":
		return condition{"wait", "resource-constraint"}
	case "unknown_room", "bad_address":
		return condition{"cancel", "item-not-found"}
	case "too_large":
		return condition{"modify", "policy-violation"}
	case bridge.PlainText, "encrypted", "reaction", "retraction", "private", "two_bodies", "bad_body", "anonymous_room", "room_mismatch", "to_mismatch", "xml_illegal":
		return condition{"modify", "not-acceptable"}
	}
	return condition{"modify", "bad-request"}
}

// reasonOf makes a refusal of the error in a bounced stanza. The word is one of RFC 6120 §8.3.3 whatever the
// server said; the text, which others may have written, stays out.
func reasonOf(bounced *stanza.Element) *bridge.Refusal {
	name := ""
	if e := bounced.Child(stanza.NSClient, "error"); e != nil {
		for _, k := range e.Kids {
			if k.Name.Space == stanza.NSStanzas && k.Name.Local != "text" && name == "" {
				name = k.Name.Local
			}
		}
	}
	word, text := bounceText(name)
	return bridge.Refuse(word, "the XMPP server gave the message back: %s", text)
}

func bounceText(condition string) (word, text string) {
	switch condition {
	case "item-not-found", "gone", "jid-malformed":
		return "bounce_no_such_user", "there is no such user (" + condition + ")"
	case "remote-server-not-found", "remote-server-timeout":
		return "bounce_unreachable", "the other server cannot be reached (" + condition + ")"
	case "service-unavailable", "recipient-unavailable":
		return "bounce_unavailable", "the user cannot take messages, or does not exist (" + condition + ")"
	case "forbidden", "not-allowed", "not-authorized", "registration-required", "subscription-required", "policy-violation":
		return "bounce_forbidden", "it is not allowed (" + condition + ")"
	case "resource-constraint":
		return "bounce_full", "too much is waiting there (" + condition + ")"
	case "not-acceptable":
		return "bounce_not_acceptable", "it is not accepted there (" + condition + ")"
	case "bad-request", "conflict", "feature-not-implemented", "internal-server-error", "redirect", "unexpected-request":
		return "bounce_other", condition
	}
	return "bounce_other", "undefined-condition"
}

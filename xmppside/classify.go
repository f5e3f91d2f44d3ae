package xmppside

import (
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/muc"
	"chatrelay/xmppside/stanza"
)

// verdict is what a message stanza is.
type verdict struct {
	in        bridge.Inbound
	bounced   *muc.Bounce // a stanza of ours that was given back
	suspect   string      // a room that we may not be in
	invited   *invitation // to a room
	archiveID string      // XEP-0359, given by our own account
}

// classify looks at a stanza as it came from the server. Addresses are compared byte for byte: the server has
// set and normalised them.
func (s *translator) classify(e *stanza.Element) verdict {
	from, typ := e.Get("from"), e.Get("type")
	switch {
	case typ == "error":
		return s.classifyError(e, from)
	case e.Child(stanza.NSForward, "forwarded") != nil || e.In(stanza.NSCarbons) || e.In(stanza.NSMAM):
		// A copy of a message that somebody else wrote. It proves nothing about who that was.
		return ignored("forwarded")
	case typ == "headline":
		return ignored("headline")
	case typ == "groupchat":
		return s.classifyRoom(e, from)
	}
	if v := s.invitationOf(e, from); v != nil {
		return verdict{in: bridge.Inbound{Ignored: "invitation"}, invited: v}
	}
	switch {
	case s.rooms.Ours(stanza.Bare(from)):
		return s.classifyPrivate(e, from)
	}
	if len(e.All(stanza.NSClient, "body")) == 0 && !encrypted(e) && !s.tellsWithoutBody(e) {
		return ignored(bodiless(e))
	}
	return s.classifyChat(e, from)
}

// classifyPrivate is for what comes from a room, or from one of its occupants, to us alone (XEP-0045 §7.5). Who writes to our
// occupant is told where to write instead, at his own address: a room does not pass errors on.
func (s *translator) classifyPrivate(e *stanza.Element, from string) verdict {
	nick := stanza.Resource(from)
	who, _ := s.rooms.Speaker(stanza.Bare(from), nick)
	bare := stanza.Bare(who.Real)
	if nick == "" || bare == "" || bare == s.addr.own || e.Child(stanza.NSClient, "body") == nil && !encrypted(e) {
		return ignored("private") // or an invitation, or the room's own voice
	}
	var v verdict
	v.in.From, v.in.Trusted = s.addr.landlineOf(bare), s.addr.trusted[bare]
	address, as := s.addr.own, ""
	if landline, ok := s.addr.addressee(e.Get("to")); ok && landline != "" {
		address, as = stanza.Bare(e.Get("to")), stanza.Bare(e.Get("to"))
	}
	v.in.Reply = reply{bare, who.Real, replyID(e), languageOf(e), as}.replyTo()
	v.in.Refused = bridge.Refuse("private", "private messages inside a room are not relayed: write to %s itself", address)
	return v
}

// encrypted tells whether a message's text is for who has a key: what stands in its body says no more than that
// (XEP-0380, XEP-0384 §5.5, XEP-0373, XEP-0027).
func encrypted(e *stanza.Element) bool {
	if e.Child(stanza.NSEncryption, "encryption") != nil || e.Child(stanza.NSOpenPGP, "openpgp") != nil || e.Child(stanza.NSOldPGP, "x") != nil {
		return true
	}
	for _, ns := range []string{stanza.NSOMEMO, stanza.NSOldOMEMO} {
		if e.Child(ns, "encrypted").Child(ns, "payload") != nil { // else it says something of keys
			return true
		}
	}
	return false
}

func ignored(why string) verdict { return verdict{in: bridge.Inbound{Ignored: why}} }

// bodiless names what has no body.
func bodiless(e *stanza.Element) string {
	switch {
	case e.In(stanza.NSReceipts) || e.In(stanza.NSMarkers):
		return "receipt"
	case e.In(stanza.NSStates):
		return "chat_state"
	case e.Child(stanza.NSClient, "subject") != nil:
		return "subject"
	}
	return "no_body"
}

func (s *translator) classifyError(e *stanza.Element, from string) verdict {
	v := ignored("error")
	bare := stanza.Bare(from)
	room := s.rooms.Ours(bare)
	if room && from != bare {
		return v // anybody in the room may have written it, and all of them know the ids of what we post
	}
	cause := stanza.ErrorOf(e)
	why := func(ref bridge.Ref) *muc.Bounce {
		return &muc.Bounce{Ref: ref, Why: reasonOf(e), Later: cause.Kind == "wait", Seat: cause.Condition == "not-acceptable",
			Gone: cause.Condition == "item-not-found" || cause.Condition == "gone"}
	}
	if ref, ok := s.ids.ref(e.Get("id"), bare); ok {
		v = ignored("bounce")
		if v.bounced = why(ref); room {
			v.bounced.Room = bare
		}
	} else if l := s.rooms.Posts.ByID(e.Get("id")); l != nil && s.speaksFor(from, l.To) {
		v = ignored("bounce")
		v.bounced = why(l.Ref)
		v.bounced.Room = l.To
	}
	if room {
		v.suspect = bare
	}
	return v
}

// speaksFor tells whether an address is of our own server, or of a room's.
func (s *translator) speaksFor(from, room string) bool {
	return from == "" || from == s.addr.own || from == stanza.Domain(s.addr.own) || from == stanza.Domain(room)
}

// classifyChat is for what was sent to the relay's account and has a body.
func (s *translator) classifyChat(e *stanza.Element, from string) verdict {
	var v verdict
	bare := stanza.Bare(from)
	if bare == "" && s.addr.isComponent() {
		return ignored("own")
	}
	if bare == "" { // our own account
		bare, from = s.addr.own, s.addr.own
	}
	id, as, known := replyID(e), "", true
	if s.addr.isComponent() {
		if v.in.To, known = s.addr.addressee(e.Get("to")); v.in.To != "" {
			as = stanza.Bare(e.Get("to"))
		}
	}
	v.in.From, v.in.Trusted = s.addr.landlineOf(bare), s.addr.trusted[bare]
	v.in.Reply = reply{bare, from, id, languageOf(e), as}.replyTo()
	v.in.Receipt = id != "" && e.Child(stanza.NSReceipts, "request") != nil
	v.archiveID = s.archivedAs(e)
	s.body(e, &v.in)
	switch {
	case v.in.Refused != nil:
	case !known:
		v.in.To, v.in.Refused = "", bridge.Refuse("bad_address", "there is no landline of that name")
	case s.texts && v.in.To != "":
		s.textIn(e, &v.in, bare, time.Now())
	}
	return v
}

// replyID is the stanza's id, for an answer. Who makes up longer ones is answered without.
func replyID(e *stanza.Element) string {
	if id := e.Get("id"); len(id) <= stanza.MostID {
		return id
	}
	return ""
}

// archivedAs is the id under which our own account's archive has a message.
func (s *translator) archivedAs(e *stanza.Element) string {
	id := ""
	for _, k := range e.All(stanza.NSStanzaID, "stanza-id") {
		if k.Get("by") != s.addr.own {
			continue // anybody may write those
		}
		if id != "" || len(k.Get("id")) > stanza.MostID {
			return ""
		}
		id = k.Get("id")
	}
	return id
}

// body takes the one plain body.
func (s *translator) body(e *stanza.Element, in *bridge.Inbound) {
	bodies := e.All(stanza.NSClient, "body")
	switch {
	case encrypted(e):
		in.Refused = bridge.Refuse("encrypted", "the message is encrypted for somebody else's keys, and the relay has none: switch encryption off for this chat")
	case len(bodies) == 0 && s.tellsWithoutBody(e):
	case len(bodies) != 1:
		in.Refused = bridge.Refuse("two_bodies", "the stanza has more than one body")
	case len(bodies[0].Kids) > 0: // RFC 6121 §5.2.3: text only; others may read it with what the child says
		in.Refused = bridge.Refuse("bad_body", "the body has an XML element inside its text")
	case len(bodies[0].Text) > s.maxMessage:
		in.Refused = bridge.Refuse("too_large", "the message is larger than %d bytes", s.maxMessage)
	default:
		in.Body = []byte(bodies[0].Text)
	}
}

// classifyRoom is for type groupchat.
func (s *translator) classifyRoom(e *stanza.Element, from string) verdict {
	room, nick := stanza.Bare(from), stanza.Resource(from)
	who, served := s.rooms.Speaker(room, nick)
	switch {
	case !served:
		return ignored("not_served")
	case e.Child(stanza.NSClient, "body") == nil:
		return ignored(bodiless(e))
	case nick == "":
		return ignored("service") // the room itself
	case encrypted(e), s.roomTexts && (retracts(e) != nil || reacts(e)):
		return ignored(amongThemselves(e))
	case historic(e, room), s.rooms.Posts.Recounting(room) && stanza.Stamped(e):
		return ignored("history")
	}
	switch echo := s.rooms.Echoes(e, room); {
	case echo && (who.Self || who.Ours || who.Real == ""): // of a seat that was ours before, too
		return ignored("echo")
	case who.Self, who.Ours:
		return ignored("own") // by another client of our account, or the room gave it an id of its own
	}
	var v verdict
	v.in.Room = room
	s.body(e, &v.in)
	switch {
	case who.Real == "":
		v.in.Refused = bridge.Refuse("anonymous_room", "the room does not tell who speaks: it must show real addresses to everybody")
		return v
	case stanza.Bare(who.Real) == s.addr.own:
		return ignored("own") // another client of our account
	}
	bare := stanza.Bare(who.Real)
	v.in.From, v.in.Trusted = s.addr.landlineOf(bare), s.addr.trusted[bare]
	v.in.Reply = reply{bare, who.Real, replyID(e), languageOf(e), ""}.replyTo() // never into the room: it would throw us out
	if s.roomTexts && v.in.Refused == nil && v.in.From != "" {
		s.roomTextIn(e, &v.in, nick, time.Now())
	}
	return v
}

// amongThemselves says why people's talk in a room is none of ours, though it has a body: that is for clients that do not understand it.
func amongThemselves(e *stanza.Element) string {
	if encrypted(e) {
		return "encrypted"
	}
	return "no_body"
}

// historic tells whether a room repeats what was said before: it stamps that with its own bare JID (XEP-0045 §7.2.14).
// Any other stamp is live talk: its sender's own, a gateway's, or our server's for what it sends again.
func historic(e *stanza.Element, room string) bool {
	for _, d := range append(e.All(stanza.NSDelay, "delay"), e.All(stanza.NSOldDelay, "x")...) {
		if d.Get("from") == room {
			return true
		}
	}
	return false
}

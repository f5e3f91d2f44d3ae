package xmppside

import (
	"chatrelay/bridge"
)

// verdict is what a message stanza is.
type verdict struct {
	in        bridge.Inbound
	bounced   *bounce // a stanza of ours that was given back
	suspect   string  // a room that we may not be in
	archiveID string  // XEP-0359, given by our own account
}

type bounce struct {
	ref   bridge.Ref
	why   *bridge.Refusal
	room  string // it was a room post
	later bool   // the far side wants it again after a while (RFC 6120 §8.3.2, type wait)
	seat  bool   // so a room answers who is not in it, too (XEP-0045 §7.4)
	gone  bool   // so a server answers for a room that it does not have
}

// classify looks at a stanza as it came from the server. Addresses are compared byte for byte: the server has
// set and normalised them.
func (s *Side) classify(e *element) verdict {
	from, typ := e.get("from"), e.get("type")
	switch {
	case typ == "error":
		return s.classifyError(e, from)
	case e.child(nsForward, "forwarded") != nil || e.in(nsCarbons) || e.in(nsMAM):
		// A copy of a message that somebody else wrote. It proves nothing about who that was.
		return ignored("forwarded")
	case typ == "headline":
		return ignored("headline")
	case typ == "groupchat":
		return s.classifyRoom(e, from)
	case s.rooms.ours(bareOf(from)):
		return s.classifyPrivate(e, from)
	}
	if len(e.all(nsClient, "body")) == 0 && !encrypted(e) {
		return ignored(bodiless(e))
	}
	return s.classifyChat(e, from)
}

// classifyPrivate is for what comes from a room, or from one of its occupants, to us alone (XEP-0045 §7.5). Who writes to our
// occupant is told where to write instead, at his own address: a room does not pass errors on.
func (s *Side) classifyPrivate(e *element, from string) verdict {
	nick := resourceOf(from)
	who, _ := s.rooms.speaker(bareOf(from), nick)
	bare := bareOf(who.real)
	if nick == "" || bare == "" || bare == s.addr.own || e.child(nsClient, "body") == nil && !encrypted(e) {
		return ignored("private") // or an invitation, or the room's own voice
	}
	var v verdict
	v.in.From, v.in.Trusted = s.addr.landlineOf(bare), s.addr.trusted[bare]
	v.in.Reply = reply{bare, who.real, replyID(e)}.replyTo()
	v.in.Refused = bridge.Refuse("private", "private messages inside a room are not relayed: write to %s itself", s.addr.own)
	return v
}

// encrypted tells whether a message's text is for who has a key: what stands in its body says no more than that
// (XEP-0380, XEP-0384 §5.5, XEP-0373, XEP-0027).
func encrypted(e *element) bool {
	if e.child(nsEncryption, "encryption") != nil || e.child(nsOpenPGP, "openpgp") != nil || e.child(nsOldPGP, "x") != nil {
		return true
	}
	for _, ns := range []string{nsOMEMO, nsOldOMEMO} {
		if e.child(ns, "encrypted").child(ns, "payload") != nil { // else it says something of keys
			return true
		}
	}
	return false
}

func ignored(why string) verdict { return verdict{in: bridge.Inbound{Ignored: why}} }

// bodiless names what has no body.
func bodiless(e *element) string {
	switch {
	case e.in(nsReceipts) || e.in(nsMarkers):
		return "receipt"
	case e.in(nsStates):
		return "chat_state"
	case e.child(nsClient, "subject") != nil:
		return "subject"
	}
	return "no_body"
}

func (s *Side) classifyError(e *element, from string) verdict {
	v := ignored("error")
	bare := bareOf(from)
	room := s.rooms.ours(bare)
	if room && from != bare {
		return v // anybody in the room may have written it, and all of them know the ids of what we post
	}
	said := errorOf(e)
	why := func(ref bridge.Ref) *bounce {
		return &bounce{ref: ref, why: reasonOf(e), later: said.kind == "wait", seat: said.condition == "not-acceptable",
			gone: said.condition == "item-not-found" || said.condition == "gone"}
	}
	if ref, ok := s.ids.ref(e.get("id"), bare); ok {
		v = ignored("bounce")
		if v.bounced = why(ref); room {
			v.bounced.room = bare
		}
	} else if l := s.rooms.posts.byID(e.get("id")); l != nil && s.speaksFor(from, l.to) {
		v = ignored("bounce")
		v.bounced = why(l.ref)
		v.bounced.room = l.to
	}
	if room {
		v.suspect = bare
	}
	return v
}

// speaksFor tells whether an address is of our own server, or of a room's.
func (s *Side) speaksFor(from, room string) bool {
	return from == "" || from == s.addr.own || from == domainOf(s.addr.own) || from == domainOf(room)
}

// classifyChat is for what was sent to the relay's account and has a body.
func (s *Side) classifyChat(e *element, from string) verdict {
	var v verdict
	bare := bareOf(from)
	if bare == "" { // our own account
		bare, from = s.addr.own, s.addr.own
	}
	id := replyID(e)
	v.in.From, v.in.Trusted = s.addr.landlineOf(bare), s.addr.trusted[bare]
	v.in.Reply = reply{bare, from, id}.replyTo()
	v.in.Receipt = id != "" && e.child(nsReceipts, "request") != nil
	v.archiveID = s.archivedAs(e)
	s.body(e, &v.in)
	return v
}

// mostID is how long an id may be that is kept in the journal.
const mostID = 1024

// replyID is the stanza's id, for an answer. Who makes up longer ones is answered without.
func replyID(e *element) string {
	if id := e.get("id"); len(id) <= mostID {
		return id
	}
	return ""
}

// archivedAs is the id under which our own account's archive has a message.
func (s *Side) archivedAs(e *element) string {
	id := ""
	for _, k := range e.all(nsStanzaID, "stanza-id") {
		if k.get("by") != s.addr.own {
			continue // anybody may write those
		}
		if id != "" || len(k.get("id")) > mostID {
			return ""
		}
		id = k.get("id")
	}
	return id
}

// body takes the one plain body.
func (s *Side) body(e *element, in *bridge.Inbound) {
	bodies := e.all(nsClient, "body")
	switch {
	case encrypted(e):
		in.Refused = bridge.Refuse("encrypted", "the message is encrypted for somebody else's keys, and the relay has none: switch encryption off for this chat")
	case len(bodies) != 1:
		in.Refused = bridge.Refuse("two_bodies", "the stanza has more than one body")
	case len(bodies[0].kids) > 0: // RFC 6121 §5.2.3: text only; others may read it with what the child says
		in.Refused = bridge.Refuse("bad_body", "the body has an XML element inside its text")
	case len(bodies[0].text) > s.cfg.MaxMessage:
		in.Refused = bridge.Refuse("too_large", "the message is larger than %d bytes", s.cfg.MaxMessage)
	default:
		in.Body = []byte(bodies[0].text)
	}
}

// classifyRoom is for type groupchat.
func (s *Side) classifyRoom(e *element, from string) verdict {
	room, nick := bareOf(from), resourceOf(from)
	who, served := s.rooms.speaker(room, nick)
	switch {
	case !served:
		return ignored("not_served")
	case e.child(nsClient, "body") == nil:
		return ignored(bodiless(e))
	case nick == "":
		return ignored("service") // the room itself
	case encrypted(e):
		return ignored("encrypted") // people talk among themselves
	case historic(e, room), s.rooms.posts.recounting(room) && stamped(e):
		return ignored("history")
	}
	switch echo := s.echoes(e, room); {
	case echo && (who.self || who.real == ""): // of a seat that was ours before, too
		return ignored("echo")
	case who.self:
		return ignored("own") // by another client of our account, or the room gave it an id of its own
	}
	var v verdict
	v.in.Room = room
	s.body(e, &v.in)
	switch {
	case who.real == "":
		v.in.Refused = bridge.Refuse("anonymous_room", "the room does not tell who speaks: it must show real addresses to everybody")
		return v
	case bareOf(who.real) == s.addr.own:
		return ignored("own") // another client of our account
	}
	bare := bareOf(who.real)
	v.in.From, v.in.Trusted = s.addr.landlineOf(bare), s.addr.trusted[bare]
	v.in.Reply = reply{bare, who.real, replyID(e)}.replyTo() // never into the room: it would throw us out
	return v
}

// historic tells whether a room repeats what was said before: it stamps that with its own bare JID (XEP-0045 §7.2.14).
// Any other stamp is live talk: its sender's own, a gateway's, or our server's for what it sends again.
func historic(e *element, room string) bool {
	for _, d := range append(e.all(nsDelay, "delay"), e.all(nsOldDelay, "x")...) {
		if d.get("from") == room {
			return true
		}
	}
	return false
}

package xmppside

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

const (
	roomJID  = "room@conference.chat.test"
	blindJID = "blind@conference.chat.test"
)

var occupantPresence = stanzatest.OccupantPresence

// seated is a unit that sits in its rooms: 1001 is alice in one; the other does not tell.
func seated(t *testing.T) *Side {
	t.Helper()
	s := unit(t)
	s.seat(t)
	return s
}

func (s *Side) seat(t *testing.T) {
	t.Helper()
	for _, p := range []string{
		occupantPresence(roomJID, "alice", "1001@chat.test/a", ""),
		occupantPresence(roomJID, "boss", "backend@chat.test/a", ""),
		occupantPresence(roomJID, "guest", "someone@elsewhere.test/a", ""),
		occupantPresence(roomJID, "chatrelay", ownJID+"/chatrelay", "110 100"),
		occupantPresence(roomJID, "other", ownJID+"/other", ""),
		occupantPresence(blindJID, "alice", "", ""),
		occupantPresence(blindJID, "chatrelay", "", "110"),
	} {
		s.rooms.Presence(parse(t, p))
	}
}

func TestIgnored(t *testing.T) {
	s := seated(t)
	mine := s.ids.id(bridge.Ref{Msg: 7}, roomJID)
	const from = " from='1001@chat.test/x'"
	body := "<body>{}</body>"
	forwarded := "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='1002@chat.test'>" + body + "</message></forwarded>"
	for name, c := range map[string]struct{ stanza, want string }{
		"error":            {"<message type='error'" + from + ">" + body + "</message>", "error"},
		"headline":         {"<message type='headline'" + from + ">" + body + "</message>", "headline"},
		"receipt":          {"<message" + from + "><received xmlns='urn:xmpp:receipts' id='1'/></message>", "receipt"},
		"marker":           {"<message" + from + "><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message>", "receipt"},
		"chat state":       {"<message" + from + "><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", "chat_state"},
		"subject":          {"<message" + from + "><subject>x</subject></message>", "subject"},
		"nothing":          {"<message" + from + "/>", "no_body"},
		"another body":     {"<message" + from + "><body xmlns='http://www.w3.org/1999/xhtml'>{}</body></message>", "no_body"},
		"body within":      {"<message" + from + "><x xmlns='y'>" + body + "</x></message>", "no_body"},
		"carbon":           {"<message from='" + ownJID + "'><received xmlns='urn:xmpp:carbons:2'>" + forwarded + "</received></message>", "forwarded"},
		"carbon with body": {"<message" + from + ">" + body + "<sent xmlns='urn:xmpp:carbons:2'>" + forwarded + "</sent></message>", "forwarded"},
		"forwarded":        {"<message" + from + ">" + body + forwarded + "</message>", "forwarded"},
		"archived":         {"<message" + from + "><result xmlns='urn:xmpp:mam:2' queryid='q' id='1'>" + forwarded + "</result></message>", "forwarded"},
		"room subject":     {"<message type='groupchat' from='" + roomJID + "/alice'><subject/></message>", "subject"},
		"room echo":        {"<message type='groupchat' from='" + roomJID + "/chatrelay' id='" + mine + "'>" + body + "</message>", "echo"},
		"our other client": {"<message type='groupchat' from='" + roomJID + "/other' id='" + mine + "'>" + body + "</message>", "own"},
		"our nick":         {"<message type='groupchat' from='" + roomJID + "/chatrelay' id='1'>" + body + "</message>", "own"},
		"room history": {"<message type='groupchat' from='" + roomJID + "/alice'>" + body +
			"<delay xmlns='urn:xmpp:delay' from='" + roomJID + "' stamp='2026-01-01T00:00:00Z'/></message>", "history"},
		"history of what was written long before": {"<message type='groupchat' from='" + roomJID + "/alice'>" + body +
			"<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>" +
			"<delay xmlns='urn:xmpp:delay' from='" + roomJID + "' stamp='2026-01-01T00:05:00Z'/></message>", "history"},
		"old history": {"<message type='groupchat' from='" + roomJID + "/alice'>" + body +
			"<x xmlns='jabber:x:delay' from='" + roomJID + "' stamp='20260101T00:00:00'/></message>", "history"},
		"the room itself":             {"<message type='groupchat' from='" + roomJID + "'>" + body + "</message>", "service"},
		"another room":                {"<message type='groupchat' from='x@conference.chat.test/alice'>" + body + "</message>", "not_served"},
		"room PM of who is not known": {"<message type='chat' from='" + roomJID + "/nobody'>" + body + "</message>", "private"},
		"room PM of ours":             {"<message type='chat' from='" + roomJID + "/other'>" + body + "</message>", "private"},
		"room PM without text":        {"<message type='chat' from='" + roomJID + "/alice'><composing xmlns='" + stanza.NSStates + "'/></message>", "private"},
		"keys":                        {"<message" + from + "><encrypted xmlns='" + stanza.NSOldOMEMO + "'><header/></encrypted></message>", "no_body"},
		"encrypted among people":      {"<message type='groupchat' from='" + roomJID + "/alice'>" + body + "<encryption xmlns='" + stanza.NSEncryption + "' namespace='x'/></message>", "encrypted"},
		"invitation":                  {"<message from='" + roomJID + "'><x xmlns='" + stanza.NSMUCUser + "'><invite/></x></message>", "invitation"},
	} {
		t.Run(name, func(t *testing.T) {
			if v := s.classify(parse(t, c.stanza)); v.in.Ignored != c.want || v.in.Refused != nil || v.in.Body != nil {
				t.Errorf("got %+v, want %s", v.in, c.want)
			}
		})
	}
}

func TestTaken(t *testing.T) {
	s := seated(t)
	for name, c := range map[string]struct {
		stanza string
		want   bridge.Inbound
	}{
		"chat": {"<message type='chat' from='1001@chat.test/x' id='i'><body>{&lt;}</body></message>",
			bridge.Inbound{From: "1001", Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/x\x00i")}},
		"normal, with a receipt asked for": {"<message from='upper@chat.test/x' id='i'><body>{&lt;}</body><request xmlns='urn:xmpp:receipts'/></message>",
			bridge.Inbound{From: "UP", Receipt: true, Reply: bridge.ParseReplyTo("upper@chat.test\x00upper@chat.test/x\x00i")}},
		"receipt without id": {"<message from='1001@chat.test'><body>{&lt;}</body><request xmlns='urn:xmpp:receipts'/></message>",
			bridge.Inbound{From: "1001", Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test\x00")}},
		"an id without end": {"<message type='chat' from='1001@chat.test/x' id='" + strings.Repeat("i", 1025) + "'><body>{&lt;}</body><request xmlns='urn:xmpp:receipts'/></message>",
			bridge.Inbound{From: "1001", Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/x\x00")}},
		"with a chat state": {"<message from='1001@chat.test'><active xmlns='http://jabber.org/protocol/chatstates'/><body>{&lt;}</body></message>",
			bridge.Inbound{From: "1001", Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test\x00")}},
		"trusted": {"<message from='backend@chat.test/x'><body>{&lt;}</body></message>",
			bridge.Inbound{From: "backend", Trusted: true, Reply: bridge.ParseReplyTo("backend@chat.test\x00backend@chat.test/x\x00")}},
		"stranger": {"<message from='1001@elsewhere.test/x'><body>{&lt;}</body></message>",
			bridge.Inbound{Reply: bridge.ParseReplyTo("1001@elsewhere.test\x001001@elsewhere.test/x\x00")}},
		"our own account": {"<message from=''><body>{&lt;}</body></message>",
			bridge.Inbound{Reply: bridge.ParseReplyTo(ownJID + "\x00" + ownJID + "\x00")}},
		"another from by namespace": {"<message xmlns:c='jabber:client' c:from='1002@chat.test' from='1001@chat.test/x'><body>{&lt;}</body></message>",
			bridge.Inbound{From: "1001", Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/x\x00")}},
		"the order of the same": {"<message from='1001@chat.test/x' xmlns:c='jabber:client' c:from='1002@chat.test' c:type='error'><body>{&lt;}</body></message>",
			bridge.Inbound{From: "1001", Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/x\x00")}},
		"stored offline": {"<message from='1001@chat.test/x'><body>{&lt;}</body><delay xmlns='urn:xmpp:delay' from='chat.test' stamp='2026-01-01T00:00:00Z'/></message>",
			bridge.Inbound{From: "1001", Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/x\x00")}},
		"room": {"<message type='groupchat' from='" + roomJID + "/alice' id='i'><body>{&lt;}</body></message>",
			bridge.Inbound{From: "1001", Room: roomJID, Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/a\x00i")}},
		"room, sent again after a resumption": {"<message type='groupchat' from='" + roomJID + "/alice' id='i'><body>{&lt;}</body>" +
			"<delay xmlns='urn:xmpp:delay' from='" + ownJID + "'/><delay xmlns='urn:xmpp:delay' from='chat.test'/></message>",
			bridge.Inbound{From: "1001", Room: roomJID, Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/a\x00i")}},
		"room, written offline": {"<message type='groupchat' from='" + roomJID + "/alice' id='i'><body>{&lt;}</body>" +
			"<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></message>",
			bridge.Inbound{From: "1001", Room: roomJID, Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/a\x00i")}},
		"room, through a gateway": {"<message type='groupchat' from='" + roomJID + "/alice' id='i'><body>{&lt;}</body>" +
			"<delay xmlns='urn:xmpp:delay' from='gateway.example.net' stamp='2026-01-01T00:00:00Z'/><x xmlns='jabber:x:delay' stamp='20260101T00:00:00'/></message>",
			bridge.Inbound{From: "1001", Room: roomJID, Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/a\x00i")}},
		"room, stamped by an occupant": {"<message type='groupchat' from='" + roomJID + "/alice' id='i'><body>{&lt;}</body>" +
			"<delay xmlns='urn:xmpp:delay' from='" + roomJID + "/alice' stamp='2026-01-01T00:00:00Z'/></message>",
			bridge.Inbound{From: "1001", Room: roomJID, Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/a\x00i")}},
		"room, trusted": {"<message type='groupchat' from='" + roomJID + "/boss'><body>{&lt;}</body></message>",
			bridge.Inbound{From: "backend", Trusted: true, Room: roomJID, Reply: bridge.ParseReplyTo("backend@chat.test\x00backend@chat.test/a\x00")}},
		"room, stranger": {"<message type='groupchat' from='" + roomJID + "/guest'><body>{&lt;}</body></message>",
			bridge.Inbound{Room: roomJID, Reply: bridge.ParseReplyTo("someone@elsewhere.test\x00someone@elsewhere.test/a\x00")}},
		"room, somebody's copy of our id": {"<message type='groupchat' from='" + roomJID + "/alice' id='" + s.ids.id(bridge.Ref{Msg: 7}, roomJID) + "'><body>{&lt;}</body></message>",
			bridge.Inbound{From: "1001", Room: roomJID, Reply: bridge.ParseReplyTo("1001@chat.test\x001001@chat.test/a\x00" + s.ids.id(bridge.Ref{Msg: 7}, roomJID))}},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.classify(parse(t, c.stanza)).in
			if got.Ignored != "" || got.Refused != nil || string(got.Body) != "{<}" || got.From != c.want.From || got.Trusted != c.want.Trusted ||
				got.Room != c.want.Room || got.Reply != c.want.Reply || got.Receipt != c.want.Receipt || got.Redelivered || got.WireID != "" || got.To != "" {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	s := seated(t)
	for name, c := range map[string]struct{ stanza, reason, reply string }{
		"two bodies": {"<message from='1001@chat.test/x'><body>{}</body><body>{}</body></message>",
			"two_bodies", "1001@chat.test\x001001@chat.test/x\x00"},
		"two languages": {"<message from='1001@chat.test/x'><body>{}</body><body xml:lang='de'>{}</body></message>",
			"two_bodies", "1001@chat.test\x001001@chat.test/x\x00"},
		"too large": {"<message from='1001@chat.test/x'><body>" + strings.Repeat("x", 1001) + "</body></message>",
			"too_large", "1001@chat.test\x001001@chat.test/x\x00"},
		"two bodies in a room": {"<message type='groupchat' from='" + roomJID + "/alice'><body>{}</body><body>{}</body></message>",
			"two_bodies", "1001@chat.test\x001001@chat.test/a\x00"},
		"a child in the body": {"<message from='1001@chat.test/x'><body>{<b xmlns='urn:b'>1</b>}</body></message>",
			"bad_body", "1001@chat.test\x001001@chat.test/x\x00"},
		"an empty child in the body": {"<message from='1001@chat.test/x'><body>{}<br/></body></message>",
			"bad_body", "1001@chat.test\x001001@chat.test/x\x00"},
		"a child in a body in a room": {"<message type='groupchat' from='" + roomJID + "/alice'><body>{<body>x</body>}</body></message>",
			"bad_body", "1001@chat.test\x001001@chat.test/a\x00"},
		"OMEMO, with a hint": {"<message id='1' from='1001@chat.test/x'><body>{}</body><encrypted xmlns='urn:x'/><encryption xmlns='urn:xmpp:eme:0' namespace='urn:x'/></message>",
			"encrypted", "1001@chat.test\x001001@chat.test/x\x001"},
		"OMEMO": {"<message from='1001@chat.test/x'><body>{}</body><encrypted xmlns='eu.siacs.conversations.axolotl'><header/><payload>x</payload></encrypted></message>",
			"encrypted", "1001@chat.test\x001001@chat.test/x\x00"},
		"OMEMO 2 without a body": {"<message from='1001@chat.test/x'><encrypted xmlns='urn:xmpp:omemo:2'><header/><payload>x</payload></encrypted></message>",
			"encrypted", "1001@chat.test\x001001@chat.test/x\x00"},
		"OpenPGP": {"<message from='1001@chat.test/x'><body>{}</body><openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp></message>",
			"encrypted", "1001@chat.test\x001001@chat.test/x\x00"},
		"old OpenPGP": {"<message from='1001@chat.test/x'><body>{}</body><x xmlns='jabber:x:encrypted'>x</x></message>",
			"encrypted", "1001@chat.test\x001001@chat.test/x\x00"},
		"a private message in a room": {"<message type='chat' id='1' from='" + roomJID + "/alice'><body>{}</body></message>",
			"private", "1001@chat.test\x001001@chat.test/a\x001"},
		"anonymous": {"<message type='groupchat' from='" + blindJID + "/alice'><body>{}</body></message>", "anonymous_room", ""},
		"nobody":    {"<message type='groupchat' from='" + roomJID + "/nobody'><body>{}</body></message>", "anonymous_room", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.classify(parse(t, c.stanza)).in
			if got.Refused == nil || got.Refused.Reason != c.reason || got.Ignored != "" || got.Reply != bridge.ParseReplyTo(c.reply) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestBounces(t *testing.T) {
	s := seated(t)
	ref := bridge.Ref{Msg: 7, Delivery: 1}
	failed := "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	for name, c := range map[string]struct {
		from, id      string
		ours, suspect bool
	}{
		"by the user":        {"1001@chat.test/x", s.ids.id(ref, "1001@chat.test"), true, false},
		"by the account":     {"1001@chat.test", s.ids.id(ref, "1001@chat.test"), true, false},
		"by somebody":        {"1002@chat.test", s.ids.id(ref, "1001@chat.test"), false, false},
		"of another journal": {"1001@chat.test", idSigner{newSecret()}.id(ref, "1001@chat.test"), false, false},
		"by the room":        {roomJID, s.ids.id(ref, roomJID), true, true},
		"of the room":        {roomJID, "other", false, true},
		"by an occupant":     {roomJID + "/alice", s.ids.id(ref, roomJID), false, false},
		"of a receipt":       {"1001@chat.test", "crr" + s.ids.id(ref, "1001@chat.test")[2:], false, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := s.classify(parse(t, fmt.Sprintf("<message type='error' from='%s' id='%s'>%s</message>", c.from, c.id, failed)))
			if (v.bounced != nil) != c.ours || (v.in.Ignored == "bounce") != c.ours || (v.suspect != "") != c.suspect {
				t.Errorf("got %+v", v)
			}
			if c.ours && (v.bounced.Ref != ref || v.bounced.Why.Reason != "bounce_no_such_user") {
				t.Errorf("bounced %+v", v.bounced)
			}
		})
	}
}

func TestArchivedAs(t *testing.T) {
	s := unit(t)
	id := func(by, id string) string {
		return "<stanza-id xmlns='urn:xmpp:sid:0' by='" + by + "' id='" + id + "'/>"
	}
	for name, c := range map[string]struct{ inner, want string }{
		"ours":         {id(ownJID, "a"), "a"},
		"a stranger's": {id("1001@chat.test", "a"), ""},
		"both":         {id("1001@chat.test", "b") + id(ownJID, "a"), "a"},
		"two of ours":  {id(ownJID, "a") + id(ownJID, "b"), ""},
		"too long":     {id(ownJID, strings.Repeat("a", 1025)), ""},
		"none":         {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := s.classify(parse(t, "<message from='1001@chat.test'><body>{}</body>"+c.inner+"</message>")).archiveID; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWireID(t *testing.T) {
	id := func(archived, attrs, body string) string {
		return mam.WireID(archived, parse(t, "<message "+attrs+"><body>"+body+"</body><delay xmlns='urn:xmpp:delay'/></message>"))
	}
	one := id("17", "from='1001@chat.test' id='x'", "a")
	if again := mam.WireID("17", parse(t, "<message id='x' from='1001@chat.test'><body>a</body></message>")); again != one {
		t.Error("a message is not known again")
	}
	for name, other := range map[string]string{
		"id": id("18", "from='1001@chat.test' id='x'", "a"), "sender": id("17", "from='1002@chat.test' id='x'", "a"),
		"stanza id": id("17", "from='1001@chat.test' id='y'", "a"), "body": id("17", "from='1001@chat.test' id='x'", "b"),
		"border": id("17", "from='1001@chat.test' id='xa'", ""), "nothing": mam.WireID("17", nil),
	} {
		if other == one {
			t.Errorf("another %s is taken for the same message", name)
		}
	}
}

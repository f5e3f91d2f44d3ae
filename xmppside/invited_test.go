package xmppside

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

// Only who is trusted invites, by an address that nobody else can use.
func TestInvitationOf(t *testing.T) {
	s := unit(t, func(c *Config) {
		c.Component, c.Clients.Texts, c.JID, c.UserDomain, c.Addr, c.TLS = true, true, "relay.chat.test", "chat.test", "localhost:5347", "off"
	})
	direct := func(room string) string { return "<x xmlns='jabber:x:conference' jid='" + room + "'/>" }
	mediated := func(by string) string { return "<x xmlns='" + stanza.NSMUCUser + "'><invite from='" + by + "'/></x>" }
	const team, relay = "team@conference.chat.test", "relay.chat.test"
	for name, c := range map[string]struct {
		from, to, inner, room, refused string // of none: no room
	}{
		"direct":                          {"backend@chat.test/x", relay, direct(team), team, ""},
		"with words for people":           {"backend@chat.test/x", relay, direct(team) + "<body>come</body>", team, ""},
		"mediated":                        {team, relay, mediated("backend@chat.test/x"), team, ""},
		"by anybody":                      {"1001@chat.test/x", relay, direct(team), team, "none of"},
		"by anybody, mediated":            {team, relay, mediated("1001@chat.test"), team, "none of"},
		"by nobody, mediated":             {team, relay, mediated(""), team, "none of"},
		"a user who plays a room":         {"mallory@chat.test/x", relay, mediated("backend@chat.test"), "mallory@chat.test/x", "names no room"},
		"one who has no resource":         {"mallory@chat.test", relay, mediated("backend@chat.test"), "mallory@chat.test", "knows nothing of"},
		"a service of strangers":          {"team@rooms.evil.test", relay, mediated("backend@chat.test"), "team@rooms.evil.test", "knows nothing of"},
		"one that sounds like ours":       {"team@evilchat.test", relay, mediated("backend@chat.test"), "team@evilchat.test", "knows nothing of"},
		"an occupant":                     {team + "/backend", relay, mediated("backend@chat.test"), team + "/backend", "names no room"},
		"into an occupant":                {"backend@chat.test", relay, direct(team + "/x"), team + "/x", "names no room"},
		"into nothing":                    {"backend@chat.test", relay, direct(""), "", "names no room"},
		"into a domain":                   {"backend@chat.test", relay, direct("conference.chat.test"), "conference.chat.test", "names no room"},
		"into our own":                    {"backend@chat.test", relay, direct("2001@relay.chat.test"), "2001@relay.chat.test", "names no room"},
		"in capitals":                     {"backend@chat.test", relay, direct("Team@conference.chat.test"), team, ""},
		"to a landline":                   {"backend@chat.test", "2001@relay.chat.test", direct(team), "none", ""},
		"twice":                           {"backend@chat.test", relay, direct(team) + direct("b@conference.chat.test"), "none", ""},
		"an envelope":                     {"backend@chat.test", relay, direct(team) + `<body>{"from":"1001","to":"1002","content":"x"}</body>`, "none", ""},
		"a text":                          {"backend@chat.test", relay, "<body>come</body>", "none", ""},
		"an invitation that was declined": {team, relay, "<x xmlns='" + stanza.NSMUCUser + "'><decline from='backend@chat.test'/></x>", "none", ""},
	} {
		v := s.classify(parse(t, fmt.Sprintf("<message from='%s' to='%s'>%s</message>", c.from, c.to, c.inner))).invited
		switch {
		case c.room == "none" && v != nil, c.room != "none" && v == nil:
			t.Errorf("%s: got %+v", name, v)
		case v != nil && (v.room != c.room || (v.refused == "") != (c.refused == "") || !strings.Contains(v.refused, c.refused)):
			t.Errorf("%s: got %+v", name, *v)
		}
	}
	for typ, want := range map[string]bool{"normal": true, "chat": true, "groupchat": false, "error": false, "headline": false} {
		v := s.classify(parse(t, fmt.Sprintf("<message type='%s' from='backend@chat.test' to='%s'>%s</message>", typ, relay, direct(team))))
		if got := v.invited != nil; got != want || got && v.in.Ignored != "invitation" {
			t.Errorf("type %s: %+v", typ, v)
		}
	}
}

// A relay that was invited to a room serves it, over a restart too, until somebody throws it out.
func TestInvited(t *testing.T) {
	cfg := withComponent
	cfg.Rooms, cfg.RoomOwner = []string{"room"}, "1001"
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("room")
		owner := newPerson(t, x, "1001", room)
		m := bridgetest.NewMemory(t)
		c := componentConfig(x)
		c.Clients, c.Trusted, c.Rooms = Clients{Texts: true, Rooms: true}, []string{x.JID("1001")}, nil
		l := start(t, m, c).up(t)
		stranger := newPerson(t, x, "1002")
		invite := "<message to='" + x.Component + "'><x xmlns='jabber:x:conference' jid='" + room + "'/></message>"
		stranger.raw(t, invite)
		l.eventually(t, "counted", func() bool { return ignoredAs(m.Taken(), "invitation") == 1 })
		if l.Follows(room) || l.log.count("an invitation to a room is not followed") != 1 {
			t.Fatal("a stranger's invitation is followed, or not said")
		}
		in := func(by string) func() bool {
			return func() bool {
				states := l.Rooms()
				return len(states) == 1 && states[0].Up && states[0].InvitedBy == by
			}
		}
		owner.raw(t, "<message to='"+room+"'><x xmlns='"+stanza.NSMUCUser+"'><invite to='"+x.Component+"'/></x></message>") // mediated
		l.eventually(t, "in the room", in(x.JID("1001")))
		if !l.Follows(room) {
			t.Error("messages for it are refused")
		}
		m.Add(bridge.KindRoom, "2001", room, fmt.Sprintf(`{"from":"2001","groupJid":%q,"content":"hello"}`, room))
		owner.must(t, 1, isGroupchat)
		l.Serve(nil, nil) // the files were read again
		l.stop()
		l = start(t, m, c).up(t)
		l.eventually(t, "in the room again", in(x.JID("1001")))
		owner.raw(t, invite) // once more
		owner.affiliates(t, room, "role='none' nick='chatrelay'")
		l.eventually(t, "out of it", func() bool { return len(l.Rooms()) == 0 && !l.Follows(room) })
		owner.raw(t, invite)
		l.eventually(t, "in it", in(x.JID("1001")))
		owner.affiliates(t, room, "affiliation='outcast' jid='"+x.Component+"'")
		l.eventually(t, "banned", func() bool { return len(l.Rooms()) == 0 && !l.Follows(room) })
	})
}

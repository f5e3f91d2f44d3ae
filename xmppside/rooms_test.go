package xmppside

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

func isGroupchat(s clients.Stanza) bool { return s.Type == "groupchat" && s.HasBody }

// heard are the offers of room messages that were not ignored.
func heard(all []bridge.Inbound) (out []bridge.Inbound) {
	for _, in := range all {
		if in.Ignored == "" && in.Room != "" {
			out = append(out, in)
		}
	}
	return out
}

func ignoredAs(all []bridge.Inbound, word string) (n int) {
	for _, in := range all {
		if in.Ignored == word {
			n++
		}
	}
	return n
}

func TestRooms(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("room")
		alice := newPerson(t, x, "1001", room)
		if err := alice.Send(room, "groupchat", "", `{"old":"one"}`); err != nil { // before the relay is there
			t.Fatal(err)
		}
		alice.must(t, 1, isGroupchat)
		m := bridgetest.NewMemory(t)
		link := proxy.New(t, x.Addr)
		c := testConfig(x)
		c.Addr, c.Rooms, c.Trusted = link.Addr(), []string{room}, []string{x.JID("1002")}
		l := start(t, m, c).up(t)
		l.eventually(t, "in the room", func() bool { return l.rooms.Joined(room) })

		m.Add(bridge.KindRoom, "2001", room, `{"n":1}`)
		got := alice.must(t, 2, isGroupchat)[1]
		if got.From != room+"/chatrelay" || got.Body != `{"n":1}` || !strings.HasPrefix(got.ID, "cr-1-0-") {
			t.Errorf("heard %+v", got)
		}
		if err := alice.Send(room, "groupchat", "g1", `{"n":2}`); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "heard", func() bool { return len(heard(m.Taken())) == 1 })
		in := heard(m.Taken())[0]
		if in.From != "1001" || in.Room != room || string(in.Body) != `{"n":2}` ||
			in.Reply != (bridge.ReplyTo{Sender: x.JID("1001"), Handle: x.JID("1001") + "/test\x00g1"}) {
			t.Errorf("got %+v", in)
		}
		if n := ignoredAs(m.Taken(), "echo"); n != 1 {
			t.Errorf("%d echoes", n)
		}
		if n := ignoredAs(m.Taken(), "history"); n > 0 {
			t.Errorf("%d of history", n)
		}

		// After kill -9 and a resumption the speakers are known.
		l.disconnect(link.Cut)
		if err := alice.Send(room, "groupchat", "", `{"n":3}`); err != nil {
			t.Fatal(err)
		}
		l = start(t, m, c).up(t)
		l.eventually(t, "heard again", func() bool { return len(heard(m.Taken())) == 2 })
		if in := heard(m.Taken())[1]; in.From != "1001" || in.Refused != nil || l.log.count(`"resumed":true`) != 1 {
			t.Errorf("got %+v", in)
		}
		m.Add(bridge.KindRoom, "2001", room, `{"n":4}`)
		alice.must(t, 4, isGroupchat)

		// After a restart of the server it is joined anew.
		if err := x.Stop(); err != nil {
			t.Fatal(err)
		}
		l.down(t, "")
		if err := x.Start(); err != nil {
			t.Fatal(err)
		}
		l.up(t)
		m.Add(bridge.KindRoom, "2001", room, `{"n":5}`)
		m.Until(t, "posted", bridgetest.AllClosed)
		l.eventually(t, "the echo", func() bool { return ignoredAs(m.Taken(), "echo") == 3 })
	})
}

// A room that is joined once more goes on saying who speaks.
func TestSpeakersWhileJoining(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}}, func(t *testing.T, x *servers.XMPP) {
		const joins, each = 20, 10
		m := bridgetest.NewMemory(t)
		alice := newPerson(t, x, "1001", x.Room("room"))
		for _, user := range []string{"1002", "1003"} {
			newPerson(t, x, user, x.Room("room"))
		}
		l, room := inRoom(t, x, m)
		for n := range joins * each {
			if n%each == 0 {
				l.rooms.Message(parse(t, "<message type='groupchat' from='"+room+"'><x xmlns='"+stanza.NSMUCUser+"'><status code='172'/></x></message>"))
			}
			if err := alice.Send(room, "groupchat", "", "x"); err != nil {
				t.Fatal(err)
			}
		}
		l.eventually(t, "all were heard", func() bool { return len(heard(m.Taken())) >= joins*each })
		all := heard(m.Taken()) // the room's subject is taken too
		for _, in := range all {
			if in.Refused != nil || in.From != "1001" {
				t.Fatalf("taken for %+v", in)
			}
		}
		if len(all) != joins*each {
			t.Errorf("%d were heard", len(all))
		}
	})
}

func TestAnonymousRoom(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, AnonymousRooms: true}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("room")
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		c.Rooms = []string{room}
		l := start(t, m, c).up(t)
		l.eventually(t, "a warning", func() bool { return l.log.count("the room is anonymous") == 1 })
		alice := newPerson(t, x, "1001", room)
		if err := alice.Send(room, "groupchat", "g1", `{"n":2}`); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "heard", func() bool { return len(heard(m.Taken())) == 1 })
		if in := heard(m.Taken())[0]; in.Refused == nil || in.Refused.Reason != "anonymous_room" || !in.Reply.IsZero() {
			t.Errorf("got %+v", in)
		}
		// Its speaker is not told, so we are.
		if n := l.log.count("its speakers cannot be told"); n != 1 || l.Rooms()[0].Unheard != 1 {
			t.Errorf("said %d times of %d", n, l.Rooms()[0].Unheard)
		}
	})
}

// A taken nick, and a room that nobody has, stop nothing else.
func TestRoomTroubles(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room", "other"}}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("room")
		squatter := newPerson(t, x, "1001", room) // sits there as 1001
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		c.Nick, c.Rooms = "1001", []string{room, "room@nowhere." + x.Domain}
		l := start(t, m, c).up(t)
		l.eventually(t, "in the room under another nick", func() bool {
			who, _ := l.rooms.Speaker(room, "1001_2")
			return who.Self
		})
		m.Add(bridge.KindChat, "2001", "1001", "direct")
		squatter.must(t, 1, chats)
		if err := l.Send(t.Context(), bridge.Outbound{Kind: bridge.KindRoom, To: "room@nowhere." + x.Domain, Body: []byte("x")}); err == nil ||
			!strings.Contains(err.Error(), "not in room") {
			t.Errorf("posted where we are not: %v", err)
		}
		l.eventually(t, "it is said", func() bool { return l.log.count("not in the room; trying again") >= 1 })

		// Thrown out, it comes back.
		squatter.raw(t, fmt.Sprintf("<presence to='%s/1001' type='unavailable'/>", room))
		l.rooms.Presence(parse(t, "<presence type='unavailable' from='"+room+"/1001_2'><x xmlns='"+stanza.NSMUCUser+
			"'><item/><status code='110'/><status code='307'/></x></presence>"))
		l.eventually(t, "back in the room", func() bool { return l.rooms.Joined(room) })
		if n := l.log.count("we were kicked"); n != 1 {
			t.Errorf("said %d times", n)
		}
	})
}

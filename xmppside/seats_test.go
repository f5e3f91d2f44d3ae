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
)

// Each landline that speaks in a room is an occupant of its own, under its name; the room has its words before they count as sent. What it
// says is no talk to the relay, which alone listens.
func TestSeats(t *testing.T) {
	cfg := withComponent
	cfg.Rooms, cfg.RoomArchive = []string{"room"}, true
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("room")
		m := bridgetest.NewMemory(t)
		link := proxy.New(t, x.ComponentAddr)
		c := componentConfig(x)
		c.Addr, c.Rooms, c.Clients = link.Addr(), []string{room}, Clients{Texts: true, Rooms: true}
		l := start(t, m, c)
		alice := newPerson(t, x, "1001", room)
		all := 0
		says := func(landline, name, content string) clients.Stanza {
			t.Helper()
			m.Add(bridge.KindRoom, landline, room, fmt.Sprintf(`{"from":%q,"name":%q,"groupJid":%q,"content":%q}`, landline, name, room, content))
			all++
			return alice.must(t, all, isGroupchat)[all-1]
		}
		for _, w := range []struct{ landline, name, content, nick string }{
			{"2001", "", "one", "2001"},
			{"2002", "Ann B", "two", "Ann B"},
			{"2001", "", "three", "2001"},
			{"2003", "chatrelay", "four", "chatrelay_2"}, // that nick is the relay's
			{"2005", "1001", "five", "2005"},             // no name: it may be another's number
		} {
			if got := says(w.landline, w.name, w.content); got.From != room+"/"+w.nick || got.Body != w.content {
				t.Errorf("got %q of %s, want %q of %s", got.Body, got.From, w.content, w.nick)
			}
		}
		m.Until(t, "the room has said so", bridgetest.AllClosed)

		// Who writes to such an occupant is told where else to.
		if err := alice.Send(room+"/2001", "chat", "p1", "psst"); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "refused", func() bool {
			for _, in := range m.Taken() {
				if in.Refused != nil && in.Refused.Reason == "private" && strings.Contains(in.Refused.Text, "2001@"+x.Component) {
					return true
				}
			}
			return false
		})
		if err := alice.Send(room, "groupchat", "g1", "hello"); err != nil {
			t.Fatal(err)
		}
		all++
		l.eventually(t, "heard once", func() bool { return len(heard(m.Taken())) == 1 })
		if in := heard(m.Taken())[0]; in.From != "1001" || in.Refused != nil {
			t.Errorf("got %+v", in)
		}
		if n := ignoredAs(m.Taken(), "echo"); n != 5 {
			t.Errorf("%d echoes", n)
		}

		// After kill -9 those who sit there speak on; so after a cut.
		l.disconnect(link.Cut)
		start(t, m, c)
		if got := says("2001", "", "five"); got.From != room+"/2001" {
			t.Errorf("got %+v", got)
		}
		if got := says("2003", "chatrelay", "six"); got.From != room+"/chatrelay_2" {
			t.Errorf("got %+v", got)
		}
		if got := says("2004", "", "seven"); got.From != room+"/2004" {
			t.Errorf("got %+v", got)
		}
		m.Until(t, "the room has said so", bridgetest.AllClosed)
		// What the room had not reflected when the connection broke is looked for there.
		const flood = 40
		for i := range flood {
			m.Add(bridge.KindRoom, "2001", room, fmt.Sprintf(`{"from":"2001","groupJid":%q,"content":"n-%d"}`, room, i))
			if i == flood/2 {
				link.Cut()
			}
		}
		m.Until(t, "the room has said so", bridgetest.AllClosed)
		ids := map[string]bool{}
		got := alice.must(t, all+flood, isGroupchat)[all:]
		for _, s := range got {
			if !ids[s.ID] && s.Body != fmt.Sprintf("n-%d", len(ids)) {
				t.Errorf("%s came where %d was due", s.Body, len(ids))
			}
			ids[s.ID] = true
		}
		if twice := len(got) - len(ids); len(ids) != flood || twice > m.Counted(bridge.MaybeDuplicate) {
			t.Errorf("%d arrived, %d of them twice; maybe_duplicate is %d", len(ids), twice, m.Counted(bridge.MaybeDuplicate))
		}
		if n := len(heard(m.Taken())); n != 1 {
			t.Errorf("%d are taken for talk", n)
		}

		// They leave a room that was taken out of service while they sat there, and one that is taken out of service now.
		left := func(nick string) bool {
			return alice.last(func(o other) bool { return o.Name == "presence" && o.From == room+"/"+nick }).Type == "unavailable"
		}
		l.disconnect(link.Cut)
		c.Rooms = nil
		l = start(t, m, c).up(t)
		if err := alice.Send(room, "groupchat", "g2", "who is there?"); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "all gone", func() bool { return left("2001") && left("2004") && left("chatrelay_2") && left("chatrelay") })
		l.Serve([]string{room}, nil)
		l.eventually(t, "back in the room", func() bool { return l.rooms.Joined(room) })
		m.Add(bridge.KindRoom, "2001", room, fmt.Sprintf(`{"from":"2001","groupJid":%q,"content":"again"}`, room))
		l.eventually(t, "in the room", func() bool { return !left("2001") })
		l.Serve(nil, nil)
		l.eventually(t, "gone with it", func() bool { return left("2001") && left("chatrelay") })
	})
}

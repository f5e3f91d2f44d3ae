package xmppside

import (
	"fmt"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// Whoever is told "sent" was heard: the relay is banned in the middle of a burst, and let in again.
func TestBanned(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomOwner: "1001"}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		alice := newPerson(t, x, "1001", x.Room("room"))
		m := bridgetest.NewMemory(t)
		l, room := inRoom(t, x, m)
		affiliation := func(id, word string) {
			t.Helper()
			alice.raw(t, "<iq type='set' id='"+id+"' to='"+room+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item jid='"+
				l.cfg.JID+"' affiliation='"+word+"'/></query></iq>")
		}
		var refs []bridge.Ref
		post := func() { refs = append(refs, m.Add(bridge.KindRoom, "2001", room, fmt.Sprint(len(refs)))) }
		l.eventually(t, "under way", func() bool { post(); return len(refs) == 50 })
		affiliation("b1", "outcast")
		l.eventually(t, "banned", func() bool { post(); return !l.rooms.Joined(room) })
		post()
		affiliation("b2", "none")
		m.Until(t, "all closed", bridgetest.AllClosed)
		delivered := 0
		for _, ref := range refs {
			if _, err := m.Delivery(ref); err == nil {
				delivered++
			}
		}
		times := map[string]int{}
		for _, s := range alice.must(t, delivered, isGroupchat) {
			times[s.Body]++
		}
		for i, ref := range refs {
			if _, err := m.Delivery(ref); (err == nil) != (times[fmt.Sprint(i)] > 0) || times[fmt.Sprint(i)] > 1 {
				t.Errorf("%d: heard %d times, closed with %v", i, times[fmt.Sprint(i)], err)
			}
		}
		t.Logf("%d of %d delivered", delivered, len(refs))
	})
}

// Anybody in a room knows the id of what we post there, and may write an error about it to our occupant.
func TestBounceByAnOccupant(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}}, func(t *testing.T, x *servers.XMPP) {
		alice := newPerson(t, x, "1001", x.Room("room"))
		m := bridgetest.NewMemory(t)
		l, room := inRoom(t, x, m)
		m.Add(bridge.KindRoom, "2001", room, "x")
		id := alice.must(t, 1, isGroupchat)[0].ID
		m.Until(t, "closed", bridgetest.AllClosed)
		alice.raw(t, "<message to='"+room+"/chatrelay' type='error' id='"+id+
			"'><error type='cancel'><feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		l.eventually(t, "it came", func() bool { return ignoredAs(m.Taken(), "error")+ignoredAs(m.Taken(), "bounce") == 1 })
		if n := m.Counted("bounced"); n != 0 {
			t.Errorf("bounced is %d", n)
		}
	})
}

// Two sessions of one person under one nick, as two tabs are: what either says is heard.
func TestTwoSessions(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}})
	room := x.Room("room")
	before := newSession(t, x, "1001", "tab1", room)
	m := bridgetest.NewMemory(t)
	l, _ := inRoom(t, x, m)
	after := newSession(t, x, "1001", "tab2", room)
	for i, p := range []*person{before, after} {
		if err := p.Send(room, "groupchat", "", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "heard", func() bool { return len(heard(m.Taken())) == i+1 })
		if in := heard(m.Taken())[i]; in.From != "1001" || in.Refused != nil {
			t.Errorf("got %+v", in)
		}
	}
}

// The room's answer is the truth: what it bounces was not sent.
func TestVoiceTaken(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomOwner: "1001"}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		alice := newPerson(t, x, "1001", x.Room("room"))
		m := bridgetest.NewMemory(t)
		l, room := inRoom(t, x, m)
		alice.raw(t, "<iq type='set' id='v1' to='"+room+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='chatrelay' role='visitor'/></query></iq>")
		if err := alice.Send(room, "groupchat", "", "behind"); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "silenced", func() bool { return len(heard(m.Taken())) == 1 })
		ref := m.Add(bridge.KindRoom, "2001", room, "mute")
		m.Until(t, "closed", bridgetest.AllClosed)
		if _, err := m.Delivery(ref); refusalWord(err) != "bounce_forbidden" {
			t.Errorf("closed with %v", err)
		}
		if !l.rooms.Joined(room) {
			t.Error("out of the room")
		}
	})
}

package xmppside

import (
	"fmt"
	"slices"
	"testing"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// ownDelay is the stamp of one who wrote offline, as Conversations sets it.
const ownDelay = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>"

// What was written offline and said in a room later is live. What the room repeats is not: the relay asks for none of
// that, so here it is a person that shows how the room stamps it.
func TestRoomTalkWrittenOffline(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("room")
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		c.Rooms = []string{room}
		l := start(t, m, c).up(t)
		l.eventually(t, "in the room", func() bool { return l.rooms.Joined(room) })
		alice := newPerson(t, x, "1001", room)
		for i, delay := range []string{ownDelay, "<delay xmlns='urn:xmpp:delay' from='gateway.example.net' stamp='2026-01-01T00:00:00Z'/>", ""} {
			alice.raw(t, fmt.Sprintf("<message to='%s' type='groupchat' id='t%d'><body>{%d}</body>%s</message>", room, i, i, delay))
		}
		l.eventually(t, "heard", func() bool { return len(heard(m.Taken()))+ignoredAs(m.Taken(), "history") == 3 })
		var got []string
		for _, in := range heard(m.Taken()) {
			got = append(got, in.From+string(in.Body))
		}
		if want := []string{"1001{0}", "1001{1}", "1001{2}"}; !slices.Equal(got, want) {
			t.Errorf("heard %v, want %v", got, want)
		}
	})
}

// In the moment of a login what somebody wrote offline does not overtake what he wrote before: only a stamp of our own
// server passes what is held.
func TestWrittenOfflineOvertakesNothing(t *testing.T) {
	bothServers(t, archiving(), func(t *testing.T, x *servers.XMPP) {
		alice := newPerson(t, x, "1001")
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		var want []string
		say := func(n int) {
			var raw []string
			for range n {
				body, delay := fmt.Sprint("m", len(want)), ""
				if len(want)%2 == 1 {
					delay = ownDelay
				}
				raw = append(raw, fmt.Sprintf("<message to='%s' type='chat'><body>%s</body>%s</message>", c.JID, body, delay))
				want = append(want, body)
			}
			alice.raw(t, raw...)
		}
		l := start(t, m, c).up(t)
		say(1)
		l.takes(t, 1)
		for range 4 {
			l.stop()
			say(20)
			d := m.SideJournal()
			g := &snag{Inlet: d, left: 1, hit: make(chan struct{}), on: make(chan struct{})}
			l = startWith(t, m, c, d, g)
			<-g.hit // the login waits for the first one to be kept
			close(g.on)
			say(300)
			l.eventually(t, "the last", func() bool { return slices.Contains(fresh(m.Taken()), want[len(want)-1]) })
		}
		for i, body := range fresh(m.Taken()) {
			if body != want[i] {
				t.Fatalf("%s came where %s belongs", body, want[i])
			}
		}
	})
}

// The same, stanza by stanza.
func TestHeldInOrder(t *testing.T) {
	s := unit(t)
	c := &connection{s: s}
	c.holdback.begin(false)
	for i, delay := range []string{"", ownDelay, "<delay xmlns='urn:xmpp:delay' from='chat.test' stamp='2026-01-01T00:00:00Z'/>", ""} {
		e := parse(t, fmt.Sprintf("<message from='1001@chat.test/a'><body>%d</body>%s</message>", i, delay))
		it := item{c: c, in: s.classify(e).in, stored: s.stored(e)}
		if kept := c.holdback.keeps(it); kept != (i != 2) {
			t.Fatalf("%d is held: %v", i, kept)
		}
	}
	var got []string
	c.holdback.release(func(it item) { got = append(got, string(it.in.Body)) })
	if want := []string{"0", "1", "3"}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
}

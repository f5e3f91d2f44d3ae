package xmppside

import (
	"context"
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
	"chatrelay/xmppside/muc"
	"chatrelay/xmppside/stanza"
)

// there tells whether a room is there, as its server says it to the relay's own login.
func (l *run) there(t *testing.T, room string) bool {
	t.Helper()
	l.mu.Lock()
	c := l.current
	l.mu.Unlock()
	err := muc.FindRoom(t.Context(), c, room)
	if err != nil && !stanza.IsAnswer(err) && !errors.Is(err, muc.ErrNoRoom) { // ejabberd answers nothing for a room that is just ending
		err = muc.FindRoom(t.Context(), c, room)
	}
	if err != nil && !errors.Is(err, muc.ErrNoRoom) {
		t.Fatal(err)
	}
	return err == nil
}

// A room that nobody has made is not made by the relay. Once somebody makes it, it is joined, and what waited is posted.
func TestNoSuchRoom(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("later")
		m := bridgetest.NewMemory(t)
		c := testConfig(x)
		c.Rooms = []string{room}
		if s := step(t, Check(t.Context(), c), "room"); s.OK || s.Fatal || !strings.Contains(s.Text(), muc.ErrNoRoom.Error()) {
			t.Errorf("check says %+v", s)
		}
		l := start(t, m, c).up(t)
		l.eventually(t, "it is said", func() bool { return l.log.count(muc.ErrNoRoom.Error()) == 1 })
		if want := (bridge.RoomState{Room: room, Why: muc.ErrNoRoom.Error()}); l.Rooms()[0] != want {
			t.Errorf("shown as %+v", l.Rooms()[0])
		}
		if s := l.Standing(room, "1001"); s != bridge.StandingUnknown {
			t.Errorf("standing %d", s)
		}
		m.Add(bridge.KindRoom, "2001", room, `{"n":1}`)
		if l.there(t, room) {
			t.Fatal("the relay has made the room")
		}
		alice := newPerson(t, x, "1001", room) // makes it
		alice.must(t, 1, isGroupchat)
		m.Until(t, "posted", bridgetest.AllClosed)
		if s := l.Rooms()[0]; !s.Up || s.Why != "" {
			t.Errorf("shown as %+v", s)
		}
	})
}

// A room that goes without a word, as one of another domain may, is missing: what is posted waits until somebody makes it
// again.
func TestRoomThatVanishes(t *testing.T) {
	t.Parallel()
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomPlugin: crooked})
	m := bridgetest.NewMemory(t)
	alice := newPerson(t, x, "1001", x.Room("room"))
	l, room := inRoom(t, x, m)
	if err := alice.Send(room, "groupchat", "", "vanish"); err != nil {
		t.Fatal(err)
	}
	if err := alice.sync(); err != nil {
		t.Fatal(err)
	}
	refs := []bridge.Ref{m.Add(bridge.KindRoom, "2001", room, "1"), m.Add(bridge.KindRoom, "2001", room, "2")}
	l.eventually(t, "it is missing", func() bool { return l.Rooms()[0].Why == muc.ErrNoRoom.Error() })
	if n := m.Sum().Deliveries[bridgetest.Settled]; n != 0 {
		t.Errorf("%d posts are closed", n)
	}
	ben := newPerson(t, x, "1002", room) // makes it
	m.Until(t, "posted", bridgetest.AllClosed)
	got := ben.must(t, 2, isGroupchat)
	if got[0].Body != "1" || got[1].Body != "2" || m.Counted(bridge.MaybeDuplicate) != 0 {
		t.Errorf("heard %+v; maybe_duplicate is %d", got, m.Counted(bridge.MaybeDuplicate))
	}
	for _, ref := range refs {
		if _, err := m.Delivery(ref); err != nil {
			t.Errorf("%v closed with %v", ref, err)
		}
	}
}

// willing is a login on which each room is there when it is asked for.
type willing struct{ *connection }

func (c willing) Ask(ctx context.Context, to, typ, payload string) (*stanza.Element, error) {
	if payload == stanza.Disco {
		return roomInfo(), nil
	}
	return c.connection.Ask(ctx, to, typ, payload)
}

// roomInfo is what a room says of itself.
func roomInfo() *stanza.Element {
	feature := &stanza.Element{Name: xml.Name{Space: stanza.NSDisco, Local: "feature"}, Attr: []xml.Attr{{Name: xml.Name{Local: "var"}, Value: stanza.NSMUC}}}
	query := &stanza.Element{Name: xml.Name{Space: stanza.NSDisco, Local: "query"}, Kids: []*stanza.Element{feature}}
	return &stanza.Element{Kids: []*stanza.Element{query}}
}

// Between question and join a room may go. What our presence makes then goes away again.
func TestRoomMadeByMistake(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}}, func(t *testing.T, x *servers.XMPP) {
		gone := x.Room("gone")
		l, _ := inRoom(t, x, bridgetest.NewMemory(t), func(c *Config) { c.Rooms = append(c.Rooms, gone) })
		l.eventually(t, "it is missing", func() bool { return l.log.count(muc.ErrNoRoom.Error()) == 1 })
		l.mu.Lock()
		c := l.current
		l.mu.Unlock()
		if _, err := l.rooms.Visit(t.Context(), willing{c}, gone); !errors.Is(err, muc.ErrNoRoom) {
			t.Fatalf("joined a room that was not there: %v", err)
		}
		if l.rooms.Joined(gone) || l.there(t, gone) {
			t.Error("the room is still there")
		}
	})
}

// A room that sleeps on the server's disk is no missing one.
func TestSleepyRoom(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, SleepyRooms: true, Settled: true}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		if x.Name == "ejabberd" {
			alice := newPerson(t, x, "1001", x.Room("room"))
			alice.Close()
			before := strings.Count(x.Log(), "Hibernating room")
			l := &run{}
			l.eventually(t, "the room sleeps", func() bool { return strings.Count(x.Log(), "Hibernating room") > before })
		}
		l, _ := inRoom(t, x, bridgetest.NewMemory(t))
		if n := l.log.count("no such room"); n != 0 {
			t.Errorf("%d times taken for missing", n)
		}
	})
}

package xmppside

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

// A room that has lost all its occupants, as one that was restarted: what it gives back for that is sent again.
func TestForgottenByTheRoom(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomPlugin: crooked})
	m := bridgetest.NewMemory(t)
	alice := newPerson(t, x, "1001", x.Room("room"))
	l, room := inRoom(t, x, m)
	if err := alice.Send(room, "groupchat", "", "forget"); err != nil {
		t.Fatal(err)
	}
	bob := newPerson(t, x, "1002", room) // comes behind that
	for i := range 5 {
		m.Add(bridge.KindRoom, "2001", room, fmt.Sprint(i))
	}
	m.Until(t, "all closed", bridgetest.AllClosed)
	var got []string
	for _, s := range bob.must(t, 5, isGroupchat) {
		got = append(got, s.Body)
	}
	if want := "0 1 2 3 4"; strings.Join(got, " ") != want || m.Counted(bridge.MaybeDuplicate) != 0 {
		t.Errorf("heard %v, want %s; maybe_duplicate is %d", got, want, m.Counted(bridge.MaybeDuplicate))
	}
	if n := l.log.count("does not know us any more"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// A stream that is lost with posts which were acknowledged and not reflected: what the room has is not sent again.
func TestLostBeforeReflection(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}}
	t.Run("history", func(t *testing.T) { lostBeforeReflection(t, servers.NewProsody(t, cfg), false) })
	cfg.RoomArchive = true
	t.Run("archive", func(t *testing.T) {
		bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) { lostBeforeReflection(t, x, true) })
	})
}

func lostBeforeReflection(t *testing.T, x *servers.XMPP, archive bool) {
	alice := newPerson(t, x, "1001", x.Room("room"))
	m := bridgetest.NewMemory(t)
	link := proxy.New(t, x.Addr)
	cfg := func(c *Config) { c.Addr = link.Addr() }
	l, room := inRoom(t, x, m, cfg)
	link.Stall(proxy.Down, true) // neither reflections nor acknowledgements
	for i := range 5 {
		m.Add(bridge.KindRoom, "2001", room, fmt.Sprint(i))
	}
	alice.must(t, 5, isGroupchat)
	if archive { // more than the history holds
		for range 30 {
			if err := alice.Send(room, "groupchat", "", "noise"); err != nil {
				t.Fatal(err)
			}
		}
		alice.must(t, 35, isGroupchat)
	}
	l.disconnect(link.Cut)
	link.Stall(proxy.Down, false)
	m.Forget(keyStream) // nothing to be resumed
	inRoom(t, x, m, cfg)
	m.Until(t, "all closed", bridgetest.AllClosed)
	m.Add(bridge.KindRoom, "2001", room, "5")
	m.Until(t, "one more", bridgetest.AllClosed)
	var got []string
	for _, s := range alice.must(t, 6, func(s clients.Stanza) bool { return isGroupchat(s) && s.Body != "noise" }) {
		got = append(got, s.Body)
	}
	if want := "0 1 2 3 4 5"; strings.Join(got, " ") != want {
		t.Errorf("heard %v, want %s", got, want)
	}
	if n := m.Counted(bridge.MaybeDuplicate); n != 0 {
		t.Errorf("maybe_duplicate is %d", n)
	}
	for _, in := range heard(m.Taken()) {
		if string(in.Body) != "noise" || in.Redelivered {
			t.Errorf("of the history is taken for news: %s", in.Body)
		}
	}
}

// A room that ends its history without a subject tells its history no longer for ever.
func TestHistoryEnds(t *testing.T) {
	withBoard(t, func(b *board) {
		b.m.Add(bridge.KindRoom, "2001", roomJID, "x")
		out, err := b.d.Next(b.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lost, why := b.render(&out)
		if why != nil {
			t.Fatal(why)
		}
		noise := func() string {
			return b.classify(parse(t, "<message type='groupchat' from='"+roomJID+"/alice'><body>{}</body>"+
				"<delay xmlns='urn:xmpp:delay' from='1001@chat.test/x' stamp='2026-01-01T00:00:00Z'/></message>")).in.Ignored
		}
		if got := noise(); got != "" {
			t.Errorf("before a join it is taken for %q", got)
		}
		b.rooms.Posts.Restored(lost.post, time.Now(), false) // it is looked for in the history
		c := &mute{}
		if _, err := b.rooms.Visit(b.t.Context(), c, roomJID); err == nil || !strings.Contains(c.wrote, "since=") {
			t.Fatalf("no history was asked for: %s (%v)", c.wrote, err)
		}
		b.seat(t)
		if got := noise(); got != "history" {
			t.Errorf("while the room tells its history it is taken for %q", got)
		}
		b.reflect(&lost.outgoing) // found there: nothing is left to be looked for
		time.Sleep(30 * time.Second)
		if got := noise(); got != "" {
			t.Errorf("afterwards it is taken for %q", got)
		}
	})
}

// mute is a login to a server that answers questions, and no presence.
type mute struct{ wrote string }

func (c *mute) Ask(context.Context, string, string, string) (*stanza.Element, error) {
	return roomInfo(), nil
}
func (c *mute) Context() context.Context { return context.Background() }
func (c *mute) Write(raw []byte) error   { c.wrote += string(raw); return nil }
func (c *mute) Go(f func())              { f() }

package xmppside

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
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
	for _, s := range bob.must(t, 5, said) {
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
	alice.must(t, 5, said)
	if archive { // more than the history holds
		for range 30 {
			if err := alice.Send(room, "groupchat", "", "noise"); err != nil {
				t.Fatal(err)
			}
		}
		alice.must(t, 35, said)
	}
	l.die(link.Cut)
	link.Stall(proxy.Down, false)
	m.Forget(keyStream) // nothing to be resumed
	inRoom(t, x, m, cfg)
	m.Until(t, "all closed", bridgetest.AllClosed)
	m.Add(bridge.KindRoom, "2001", room, "5")
	m.Until(t, "one more", bridgetest.AllClosed)
	var got []string
	for _, s := range alice.must(t, 6, func(s clients.Stanza) bool { return said(s) && s.Body != "noise" }) {
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

// What is lost with its stream is looked for; what certainly did not arrive is sent again without being counted.
func TestSought(t *testing.T) {
	withBoard(t, func(b *board) {
		p := b.rooms.posts
		arrived, gone, never := b.mustPost("2001"), b.mustPost("2001"), b.mustPost("2001")
		time.Sleep(10 * time.Millisecond)
		p.acked(arrived)
		p.lose(gone, true)
		p.lose(never, false)
		p.lose(&outgoing{ref: arrived.ref, to: roomJID}, true) // a stanza of before
		if since := p.beginSearch(roomJID, false); since.IsZero() || !p.recounting(roomJID) {
			t.Error("no history is asked for")
		}
		b.want(arrived, bridgetest.Bound, "")
		if b.in() == 0 {
			t.Error("what is newer may go first")
		}
		p.beginSearch(roomJID, true)
		p.matchArchived(roomJID, parse(t, fmt.Sprintf("<message type='groupchat' from='%s/x' id='%s'><body>x</body></message>", roomJID, arrived.id)))
		b.hear("<message type='groupchat' from='" + roomJID + "'><subject/></message>")
		if p.recounting(roomJID) {
			t.Error("the subject ends the history")
		}
		p.requeueSearched(roomJID)
		time.Sleep(10 * time.Millisecond)
		b.want(arrived, bridgetest.Settled, "")
		b.want(gone, bridgetest.Waiting, "")
		b.want(never, bridgetest.Waiting, "")
		if n := b.m.Counted(bridge.MaybeDuplicate); n != 1 || b.in() != 0 {
			t.Errorf("maybe_duplicate is %d", n)
		}
	})
}

// A room that ends its history without a subject tells its history no longer for ever.
func TestHistoryEnds(t *testing.T) {
	withBoard(t, func(b *board) {
		p := b.rooms.posts
		l := b.mustPost("2001")
		talk := func() string {
			return b.classify(parse(t, "<message type='groupchat' from='"+roomJID+"/alice'><body>{}</body>"+
				"<delay xmlns='urn:xmpp:delay' from='1001@chat.test/x' stamp='2026-01-01T00:00:00Z'/></message>")).in.Ignored
		}
		p.beginSearch(roomJID, true)
		if got := talk(); got != "history" {
			t.Errorf("while the room tells its history it is taken for %q", got)
		}
		b.reflect(l) // found there: nothing is left to be looked for
		time.Sleep(recountsFor)
		if got := talk(); got != "" {
			t.Errorf("afterwards it is taken for %q", got)
		}
	})
}

// A binding whose commit fails leaves nothing behind.
func TestUncommittedPost(t *testing.T) {
	withBoard(t, func(b *board) {
		kept := b.mustPost("2001")
		time.Sleep(10 * time.Millisecond)
		b.m.Fail(errors.New("no room"))
		b.mustPost("2001")
		time.Sleep(10 * time.Millisecond)
		b.m.Fail(nil)
		b.rooms.posts.verify()
		if open := b.rooms.posts.byRoom[roomJID].open; len(open) != 1 || open[0].tag != kept {
			t.Errorf("%d are open", len(open))
		}
	})
}

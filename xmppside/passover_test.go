package xmppside

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// What Prosody writes may be far above what it has got: it names a namespace anew in each child. Such a message, in store
// and archive, does not keep the relay out.
func TestTooLargeInArchive(t *testing.T) {
	x := servers.NewProsody(t, archiving())
	alice := newPerson(t, x, "1001")
	c := testConfig(x)
	m := bridgetest.NewMemory(t)
	l := start(t, m, c).up(t)
	if err := alice.says(c.JID, "before"); err != nil {
		t.Fatal(err)
	}
	l.takes(t, 1)
	l.stop()
	alice.raw(t, inflated("chat", c.JID))
	if err := alice.says(c.JID, "after"); err != nil {
		t.Fatal(err)
	}
	l = start(t, m, c).up(t)
	wantAll(t, m, l, []string{"before", "after"})
}

// inflated is a message that Prosody writes far larger than it has got it.
func inflated(typ, to string) string {
	return "<message type='" + typ + "' to='" + to + "' xmlns:x='urn:" + strings.Repeat("n", 300) + "'><body>hi</body>" +
		strings.Repeat("<x:b/>", 30_000) + "</message>"
}

// Such a message in the offline store, behind others that are held until all of it has come, does not keep those out.
func TestTooLargeInStore(t *testing.T) {
	t.Parallel()
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true})
	alice := newPerson(t, x, "1001")
	c := testConfig(x)
	if err := alice.says(c.JID, "before"); err != nil {
		t.Fatal(err)
	}
	alice.raw(t, inflated("chat", c.JID))
	if err := alice.says(c.JID, "after"); err != nil {
		t.Fatal(err)
	}
	m := bridgetest.NewMemory(t)
	l := start(t, m, c)
	wantAll(t, m, l, []string{"before", "after"})
}

// Such a message in the history or the archive of a room where the relay looks for what it has sent does not keep it from
// that.
func TestTooLargeInRoom(t *testing.T) {
	for name, archive := range map[string]bool{"history": false, "archive": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomArchive: archive})
			alice := newPerson(t, x, "1001", x.Room("room"))
			m := bridgetest.NewMemory(t)
			link := proxy.New(t, x.Addr)
			cfg := func(c *Config) { c.Addr = link.Addr() }
			l, room := inRoom(t, x, m, cfg)
			link.Stall(proxy.Down, true) // neither reflections nor acknowledgements
			m.Add(bridge.KindRoom, "2001", room, "0")
			alice.must(t, 1, isGroupchat)
			alice.raw(t, inflated("groupchat", room))
			for i := range 2 {
				m.Add(bridge.KindRoom, "2001", room, fmt.Sprint(1+i))
			}
			alice.must(t, 4, isGroupchat)
			noise := 0
			if archive { // more than the history holds
				noise = 30
			}
			for range noise {
				if err := alice.Send(room, "groupchat", "", "noise"); err != nil {
					t.Fatal(err)
				}
			}
			alice.must(t, 4+noise, isGroupchat)
			l.disconnect(link.Cut)
			link.Stall(proxy.Down, false)
			m.Forget(keyStream) // nothing to be resumed
			inRoom(t, x, m, cfg)
			m.Until(t, "all closed", bridgetest.AllClosed)
			if n := m.Counted(bridge.MaybeDuplicate); n != 0 {
				t.Errorf("maybe_duplicate is %d", n)
			}
		})
	}
}

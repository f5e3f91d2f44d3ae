package xmppside

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

// seated tells whether the side is in just these rooms.
func (l *run) seated(rooms ...string) func() bool {
	return func() bool {
		states := l.Rooms()
		for i, s := range states {
			if i >= len(rooms) || s.Room != rooms[i] || !s.Up {
				return false
			}
		}
		return len(states) == len(rooms)
	}
}

// Rooms come and go while the side runs. What a room was sent before it goes is settled; what comes too late is refused,
// and nothing is left lying.
func TestServe(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"a", "b"}}, func(t *testing.T, x *servers.XMPP) {
		a, b := x.Room("a"), x.Room("b")
		m := bridgetest.NewMemory(t)
		alice := newPerson(t, x, "1001", a, b)
		c := testConfig(x)
		c.Rooms = []string{a}
		l := start(t, m, c).up(t)
		l.eventually(t, "in the first room", l.seated(a))

		l.Serve([]string{a, b}, nil)
		l.eventually(t, "in both", l.seated(a, b))
		if err := alice.Send(b, "groupchat", "", `{"heard":1}`); err != nil {
			t.Fatal(err)
		}
		l.eventually(t, "it is heard", func() bool {
			return slices.ContainsFunc(m.Taken(), func(in bridge.Inbound) bool { return in.Room == b && in.From == "1001" })
		})

		const n = 200
		refs := make([]bridge.Ref, n)
		for i := range refs {
			if i == n/2 {
				m.Until(t, "some are posted", func(s bridgetest.Sum) bool { return s.Settles > n/10 })
				l.Serve([]string{b}, nil)
			}
			refs[i] = m.Add(bridge.KindRoom, "2001", a, fmt.Sprintf(`{"n":%d}`, i))
		}
		m.Until(t, "all posts are closed", bridgetest.AllClosed)
		l.eventually(t, "out of the first room", l.seated(b))
		sent := 0
		for i, ref := range refs {
			_, err := m.Delivery(ref)
			var why *bridge.Refusal
			switch {
			case err == nil && sent == i:
				sent++
			case err == nil:
				t.Errorf("post %d was sent, and not all before it", i)
			case !errors.As(err, &why) || why.Reason != "unknown_room":
				t.Errorf("post %d: %v", i, err)
			}
		}
		alice.must(t, sent, func(s clients.Stanza) bool { return isGroupchat(s) && stanza.Bare(s.From) == a })
		if n := m.Counted(bridge.MaybeDuplicate); n != 0 {
			t.Errorf("%d may be there twice", n)
		}

		l.Serve([]string{a, b}, nil)
		l.Serve([]string{b}, nil)
		l.Serve([]string{a, b}, nil) // whoever changes his mind
		l.eventually(t, "in both again", l.seated(a, b))
		m.Add(bridge.KindRoom, "2001", a, `{"again":true}`)
		m.Until(t, "posted", bridgetest.AllClosed)
		alice.must(t, sent+1, func(s clients.Stanza) bool { return isGroupchat(s) && stanza.Bare(s.From) == a })
	})
}

// The identity table changes for what comes and goes from then on.
func TestServeIdentity(t *testing.T) {
	s := unit(t)
	s.Serve(nil, map[string]string{"1001": "anna@chat.test"})
	if at, why := s.addr.jidOf("1001"); at != "anna@chat.test" || why != nil {
		t.Errorf("1001 is at %s, %v", at, why)
	}
	if l := s.addr.landlineOf("anna@chat.test"); l != "1001" {
		t.Errorf("anna is %q", l)
	}
	s.Serve(nil, nil)
	if at, _ := s.addr.jidOf("1001"); at != "1001@"+s.addr.domain {
		t.Errorf("without a row 1001 is at %s", at)
	}
}

// A room that goes while there is no login is left at the next one that resumes.
func TestServeWhileAway(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"a"}})
	a := x.Room("a")
	c := testConfig(x)
	c.Rooms = []string{a}
	l := start(t, bridgetest.NewMemory(t), c).up(t)
	l.eventually(t, "in the room", l.seated(a))
	alice := newPerson(t, x, "1001", a)
	if err := x.Stop(); err != nil {
		t.Fatal(err)
	}
	l.down(t, "")
	l.Serve(nil, nil)
	if n := len(l.Rooms()); n != 0 {
		t.Errorf("%d rooms are shown", n)
	}
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	l.up(t)
	l.eventually(t, "left", func() bool { return l.log.count("no longer served") == 1 && !l.rooms.Ours(a) })
	_ = alice
}

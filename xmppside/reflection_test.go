package xmppside

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// inRoom starts a relay that sits in the room.
func inRoom(t *testing.T, x *servers.XMPP, m *bridgetest.Memory, change ...func(*Config)) (*run, string) {
	t.Helper()
	room := x.Room("room")
	c := testConfig(x)
	c.Rooms = []string{room}
	for _, f := range change {
		f(&c)
	}
	l := start(t, m, c).up(t)
	l.eventually(t, "in the room", func() bool { return l.rooms.Joined(room) })
	return l, room
}

// once holds what somebody heard in the room against the bodies 0 … n-1.
func once(t *testing.T, p *person, n int) {
	t.Helper()
	var got, want []string
	for _, s := range p.must(t, n, isGroupchat) {
		got = append(got, s.Body)
	}
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("heard %v", got)
	}
}

func refusalWord(err error) string {
	var why *bridge.Refusal
	if errors.As(err, &why) {
		return why.Reason
	}
	return ""
}

// ejabberd takes one message of a burst, keeps a second back, and bounces the rest (min_message_interval).
func TestBurst(t *testing.T) {
	x := servers.NewEjabberd(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomInterval: 0.3})
	alice := newPerson(t, x, "1001", x.Room("room"))
	m := bridgetest.NewMemory(t)
	_, room := inRoom(t, x, m)
	var refs []bridge.Ref
	for i := range 15 {
		refs = append(refs, m.Add(bridge.KindRoom, "2001", room, fmt.Sprint(i)))
	}
	m.Until(t, "all closed", bridgetest.AllClosed)
	once(t, alice, 15)
	for _, ref := range refs {
		if _, err := m.Delivery(ref); err != nil {
			t.Errorf("%v closed with %v", ref, err)
		}
	}
	if n := m.Counted(bridge.MaybeDuplicate); n != 0 {
		t.Errorf("maybe_duplicate is %d", n)
	}
}

// crooked is a room that does as it is told by the message: it swallows it, keeps it back, or gives it other ids; and it
// can be made deaf.
const crooked = `
local deaf = false;
module:hook("muc-occupant-groupchat", function(event)
	local body = event.stanza:get_child_text("body") or "";
	if body == "talk" then deaf = false end
	if deaf or body:find("swallow", 1, true) then return true end
	if body == "deaf" then deaf = true end
	if body == "vanish" then
		local muc = module:depends("muc");
		muc.forget_room(event.room); muc.delete_room(event.room);
		return true
	end
	if body == "forget" then event.room._occupants = {}; event.room._jid_nick = {} end
end, 100);
for _, name in ipairs { "iq/full", "iq/bare" } do
	module:hook(name, function() if deaf then return true end end, 1000);
end
module:hook("muc-broadcast-message", function(event)
	local body = event.stanza:get_child_text("body") or "";
	if body:find("late", 1, true) then
		local copy = require "util.stanza".clone(event.stanza); -- its addresses are put back
		module:add_timer(1.5, function() event.room:broadcast(copy) end);
		return true;
	end
	if body:find("rename", 1, true) then event.stanza.attr.id = "renamed" end
	if body:find("strip", 1, true) then
		event.stanza.attr.id = nil;
		event.stanza:maptags(function(tag) if tag.name ~= "origin-id" then return tag end end);
	end
end, 100);
`

func TestRoomsThatChangeIDs(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomPlugin: crooked})
	alice := newPerson(t, x, "1001", x.Room("room"))
	m := bridgetest.NewMemory(t)
	_, room := inRoom(t, x, m)
	began := time.Now()
	for _, body := range []string{"rename", "strip", "strip", "plain"} {
		m.Add(bridge.KindRoom, "2001", room, body)
	}
	m.Until(t, "all closed", bridgetest.AllClosed)
	if took := time.Since(began); took > time.Second { // no room was pinged
		t.Errorf("took %v", took)
	}
	got := alice.must(t, 4, isGroupchat)
	if got[0].ID != "renamed" || got[1].ID != "" || !strings.HasPrefix(got[3].ID, "cr-") {
		t.Errorf("the room does not do what it is for: %+v", got)
	}
}

// late is a room with a post that our server has, and the room keeps back.
func late(t *testing.T) (x *servers.XMPP, m *bridgetest.Memory, l *run, post bridge.Ref, cut func()) {
	t.Helper()
	x = servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomPlugin: crooked})
	m = bridgetest.NewMemory(t)
	link := proxy.New(t, x.Addr)
	l, room := inRoom(t, x, m, func(c *Config) { c.Addr = link.Addr() })
	post = m.Add(bridge.KindRoom, "2001", room, "late")
	is := func(ref bridge.Ref, want bridgetest.DeliveryState) func() bool {
		return func() bool { st, _ := m.Delivery(ref); return st == want }
	}
	l.eventually(t, "on the stream", is(post, bridgetest.Bound))
	behind := m.Add(bridge.KindChat, "2001", "1003", "behind it")
	l.eventually(t, "acknowledged", is(behind, bridgetest.Settled))
	if st, _ := m.Delivery(post); st != bridgetest.Bound {
		t.Fatalf("it is %s", st)
	}
	return x, m, l, post, link.Cut
}

// Killed between the acknowledgement and the reflection, which comes to the next process.
func TestKilledBeforeReflection(t *testing.T) {
	x, m, l, post, cut := late(t)
	alice := newPerson(t, x, "1001", x.Room("room"))
	l.disconnect(cut)
	l, _ = inRoom(t, x, m)
	m.Until(t, "closed", bridgetest.AllClosed)
	if _, err := m.Delivery(post); err != nil || l.log.count(`"resumed":true`) != 1 {
		t.Errorf("closed with %v", err)
	}
	alice.must(t, 1, isGroupchat)
	if n := m.Counted(bridge.MaybeDuplicate); n != 0 || !l.rooms.Posts.Idle() {
		t.Errorf("maybe_duplicate is %d", n)
	}
}

// A stop waits for what is not reflected.
func TestStopBeforeReflection(t *testing.T) {
	_, m, l, post, _ := late(t)
	l.stop()
	if st, err := m.Delivery(post); st != bridgetest.Settled || err != nil {
		t.Errorf("it is %s (%v)", st, err)
	}
}

// A room that answers nothing gets nothing more, and what it has is not sent again.
func TestDeafRoom(t *testing.T) {
	t.Parallel()
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomPlugin: crooked})
	alice := newPerson(t, x, "1001", x.Room("room"))
	m := bridgetest.NewMemory(t)
	l, room := inRoom(t, x, m)
	say := func(body string) {
		t.Helper()
		if err := alice.Send(room, "groupchat", "", body); err != nil {
			t.Fatal(err)
		}
	}
	say("deaf")
	alice.must(t, 1, isGroupchat)
	had := m.Add(bridge.KindRoom, "2001", room, "had")
	l.eventually(t, "it is said", func() bool { return l.log.count("the room does not answer") == 1 })
	waits := m.Add(bridge.KindRoom, "2002", room, "waits")
	for _, ref := range []bridge.Ref{had, waits} {
		if st, _ := m.Delivery(ref); st == bridgetest.Settled {
			t.Errorf("%v is closed", ref)
		}
	}
	say("talk")
	m.Until(t, "all closed", bridgetest.AllClosed)
	if _, err := m.Delivery(had); refusalWord(err) != "not_reflected" {
		t.Errorf("closed with %v", err)
	}
	got := alice.must(t, 3, isGroupchat)
	if _, err := m.Delivery(waits); err != nil || got[2].Body != "waits" || m.Counted(bridge.MaybeDuplicate) != 0 {
		t.Errorf("closed with %v; heard %+v", err, got)
	}
}

// What a room drops is not sent, by an account or a component that writes texts.
func TestNotReflected(t *testing.T) {
	t.Parallel()
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Component: "relay", Rooms: []string{"room"}, RoomPlugin: crooked})
	for name, change := range map[string]func(*Config){
		"account": func(*Config) {},
		"component": func(c *Config) {
			rooms := c.Rooms
			*c = componentConfig(x)
			c.Rooms, c.Clients.Texts = rooms, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := bridgetest.NewMemory(t)
			_, room := inRoom(t, x, m, change)
			dropped := m.Add(bridge.KindRoom, "2001", room, `{"from": "2001", "content": "swallow"}`)
			passed := m.Add(bridge.KindRoom, "2001", room, `{"from": "2001", "content": "plain"}`)
			m.Until(t, "the second", func(s bridgetest.Sum) bool { return s.Deliveries[bridgetest.Settled] == 1 })
			if st, err := m.Delivery(passed); st != bridgetest.Settled || err != nil {
				t.Errorf("what is behind is %s (%v)", st, err)
			}
			m.Until(t, "both", bridgetest.AllClosed)
			if _, err := m.Delivery(dropped); refusalWord(err) != "not_reflected" {
				t.Errorf("closed with %v", err)
			}
		})
	}
}

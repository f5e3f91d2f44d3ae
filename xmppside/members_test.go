package xmppside

import (
	"slices"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// In component mode a room's admin says who belongs to the group, from any client: lists and occupants count beside the groups file.
func TestMembersOfRoom(t *testing.T) {
	cfg := withComponent
	cfg.Rooms, cfg.RoomOwner = []string{"room"}, "1001"
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("room")
		owner := newPerson(t, x, "1001", room)
		owner.affiliates(t, room, "affiliation='admin' jid='"+x.Component+"'")
		owner.affiliates(t, room, "affiliation='member' jid='2001@"+x.Component+"'")
		owner.affiliates(t, room, "affiliation='member' jid='"+x.JID("1003")+"'")
		owner.affiliates(t, room, "affiliation='outcast' jid='2009@"+x.Component+"'")
		m := bridgetest.NewMemory(t)
		c := componentConfig(x)
		c.Rooms, c.Clients = []string{room}, Clients{Texts: true, Rooms: true}
		l := start(t, m, c).up(t)
		members := func(want ...string) func() bool {
			return func() bool {
				got := slices.Sorted(slices.Values(l.Members(room, []string{"7001"})))
				return slices.Equal(slices.Compact(got), want)
			}
		}
		l.eventually(t, "lists and occupants", members("1001", "1003", "2001", "7001"))
		l.stands(t, room, "2001", bridge.StandingMember)
		l.stands(t, room, "2002", bridge.StandingNone)
		newPerson(t, x, "1002", room)
		l.eventually(t, "one more sits there", members("1001", "1002", "1003", "2001", "7001"))
		owner.affiliates(t, room, "affiliation='none' jid='2001@"+x.Component+"'")
		l.eventually(t, "one is off the list", members("1001", "1002", "1003", "7001"))
		l.stands(t, room, "2001", bridge.StandingNone)
		l.stop()
		again := start(t, m, c).up(t)
		if got := again.Members(room, nil); !slices.Contains(got, "1003") {
			t.Errorf("after a restart: %v", got)
		}
	})
}

// A client's rooms add nobody: there people have what is said by XMPP.
func TestMembersOfClient(t *testing.T) {
	s := unit(t)
	if got := s.Members("room@conference.chat.test", []string{"1001"}); !slices.Equal(got, []string{"1001"}) {
		t.Errorf("got %v", got)
	}
}

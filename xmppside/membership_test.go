package xmppside

import (
	"fmt"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

// affiliates changes what a room's owner may change: an affiliation, or the role of a nick.
func (p *person) affiliates(t *testing.T, room, item string) {
	t.Helper()
	p.raw(t, fmt.Sprintf("<iq type='set' id='a' to='%s'><query xmlns='%s'><item %s/></query></iq>", room, stanza.NSMUCAdmin, item))
}

// stands waits until a room says of a landline what it should.
func (l *run) stands(t *testing.T, room, landline string, want bridge.Standing) {
	t.Helper()
	l.eventually(t, fmt.Sprintf("%s has standing %d", landline, want), func() bool {
		return l.Standing(room, landline) == want
	})
}

// Who belongs to a room is known from its lists, its presences and its messages about the absent, over a kill and a
// resumption, and not while the relay is away.
func TestStanding(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomOwner: "1001"}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		room := x.Room("room")
		owner := newPerson(t, x, "1001", room)
		owner.affiliates(t, room, "affiliation='admin' jid='"+x.JID("receiver")+"'")
		owner.affiliates(t, room, "affiliation='outcast' jid='"+x.JID("1003")+"'")
		m := bridgetest.NewMemory(t)
		link := proxy.New(t, x.Addr)
		c := testConfig(x)
		c.Addr, c.Rooms = link.Addr(), []string{room}
		l := start(t, m, c).up(t)
		l.stands(t, room, "1001", bridge.StandingMember)
		l.stands(t, room, "1003", bridge.StandingOutcast) // banned before we came, and not there
		l.stands(t, room, "1002", bridge.StandingNone)
		l.stands(t, room, "No-Address", bridge.StandingNone)
		l.stands(t, "other@"+x.RoomService, "1001", bridge.StandingNone)

		owner.affiliates(t, room, "affiliation='member' jid='"+x.JID("1002")+"'") // who is not there
		l.stands(t, room, "1002", bridge.StandingMember)
		owner.affiliates(t, room, "affiliation='none' jid='"+x.JID("1002")+"'")
		l.stands(t, room, "1002", bridge.StandingNone)
		ben := newPerson(t, x, "1002", room)
		owner.affiliates(t, room, "role='participant' nick='1002'") // ejabberd makes him a visitor after that
		l.stands(t, room, "1002", bridge.StandingMember)
		owner.affiliates(t, room, "role='visitor' nick='1002'")
		l.stands(t, room, "1002", bridge.StandingVisitor)

		l.disconnect(link.Cut)
		if s := l.Standing(room, "1001"); s != bridge.StandingUnknown {
			t.Errorf("without a login 1001 has standing %d", s)
		}
		owner.affiliates(t, room, "affiliation='none' jid='"+x.JID("1003")+"'")
		l = start(t, m, c).up(t)
		l.stands(t, room, "1002", bridge.StandingVisitor) // his presence does not come again
		l.stands(t, room, "1003", bridge.StandingNone)
		if l.log.count(`"resumed":true`) != 1 {
			t.Fatal("not resumed")
		}
		owner.affiliates(t, room, "role='participant' nick='1002'")
		l.stands(t, room, "1002", bridge.StandingMember)
		owner.affiliates(t, room, "role='none' nick='1002'") // kicked
		l.stands(t, room, "1002", bridge.StandingNone)
		ben.Close()
		newPerson(t, x, "1002", room)
		owner.affiliates(t, room, "role='participant' nick='1002'")
		l.stands(t, room, "1002", bridge.StandingMember)
		owner.affiliates(t, room, "affiliation='outcast' jid='"+x.JID("1002")+"'") // banned
		l.stands(t, room, "1002", bridge.StandingOutcast)

		// After a restart of the server it is asked anew.
		link.Refuse(true)
		link.Cut()
		l.down(t, "")
		if s := l.Standing(room, "1002"); s != bridge.StandingUnknown {
			t.Errorf("while nothing is known 1002 has standing %d", s)
		}
		link.Refuse(false)
		l.stands(t, room, "1002", bridge.StandingOutcast)
	})
}

// A relay that may not see a room's lists goes by what it sees there, and says so.
func TestStandingWithoutLists(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomOwner: "1001"}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		owner := newPerson(t, x, "1001", x.Room("room"))
		l, room := inRoom(t, x, bridgetest.NewMemory(t))
		l.stands(t, room, "1002", bridge.StandingNone)
		l.eventually(t, "it is said", func() bool { return l.log.count("does not show its ban list") == 1 })
		owner.affiliates(t, room, "affiliation='outcast' jid='"+x.JID("1003")+"'")
		l.stands(t, room, "1003", bridge.StandingOutcast)
		owner.affiliates(t, room, "affiliation='none' jid='"+x.JID("1003")+"'")
		l.stands(t, room, "1003", bridge.StandingNone)
	})
}

// A room that cannot show its lists for the moment is asked again soon: nobody who is banned may post meanwhile.
func TestListsLater(t *testing.T) {
	t.Parallel()
	const busy = `
local asked = 0;
module:hook("iq-get/bare/http://jabber.org/protocol/muc#admin:query", function(event)
	asked = asked + 1;
	local kind, condition = "wait", "internal-server-error";
	if asked == 2 then kind, condition = "cancel", "service-unavailable" end
	if asked == 3 then kind, condition = "wait", "resource-constraint" end
	if asked > 3 then return end
	event.origin.send(require "util.stanza".error_reply(event.stanza, kind, condition));
	return true;
end, 1000);
`
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Rooms: []string{"room"}, RoomOwner: "1001", RoomPlugin: busy})
	owner := newPerson(t, x, "1001", x.Room("room"))
	owner.affiliates(t, x.Room("room"), "affiliation='admin' jid='"+x.JID("receiver")+"'")
	owner.affiliates(t, x.Room("room"), "affiliation='outcast' jid='"+x.JID("1003")+"'")
	l, room := inRoom(t, x, bridgetest.NewMemory(t))
	l.eventually(t, "it is known who belongs to the room", func() bool { return l.Standing(room, "1003") != bridge.StandingUnknown })
	if s := l.Standing(room, "1003"); s != bridge.StandingOutcast || l.log.count("does not show its ban list") != 0 {
		t.Errorf("one who is banned has standing %d", s)
	}
	if n := l.log.count("asking again"); n != 3 {
		t.Errorf("it is said %d times", n)
	}
}

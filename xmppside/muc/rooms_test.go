package muc

import (
	"testing"

	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

func TestOccupants(t *testing.T) {
	s := seated(t)
	gone := func(nick, inner string) string {
		return "<presence type='unavailable' from='" + roomJID + "/" + nick + "'><x xmlns='" + stanza.NSMUCUser + "'>" + inner + "</x></presence>"
	}
	tell := func(texts ...string) {
		for _, text := range texts {
			s.Presence(stanzatest.Parse(t, text))
		}
	}
	who := func(nick string) string { o, _ := s.Speaker(roomJID, nick); return o.Real }
	if who("alice") != "1001@chat.test/a" || !s.Joined(roomJID) {
		t.Fatalf("alice is %q", who("alice"))
	}
	tell(occupantPresence(roomJID, "alice", "1002@chat.test/b", ""))
	if who("alice") != "1002@chat.test/b" {
		t.Errorf("alice is %q, want the new one", who("alice"))
	}
	tell("<presence from='" + roomJID + "/alice'><x xmlns='" + stanza.NSMUCUser + "'><item jid='1001@chat.test/x'/></x>" +
		"<x xmlns='" + stanza.NSMUCUser + "'><item jid='1003@chat.test/x'/></x></presence>")
	if who("alice") != "" {
		t.Errorf("alice is %q by a presence that says two things", who("alice"))
	}
	two := func(one, other string) string {
		return "<presence from='" + roomJID + "/alice'><x xmlns='" + stanza.NSMUCUser + "'><item jid='" + one + "'/><item jid='" + other + "'/></x></presence>"
	}
	tell(two("1001@chat.test/tab1", "1001@chat.test/tab2"))
	if stanza.Bare(who("alice")) != "1001@chat.test" {
		t.Errorf("alice with two sessions is %q", who("alice"))
	}
	for _, other := range []string{"1002@chat.test/tab2", "", "chat.test"} {
		if tell(two("1001@chat.test/tab1", other)); who("alice") != "" {
			t.Errorf("alice is %q, and %q too", who("alice"), other)
		}
	}
	tell(occupantPresence(roomJID, "alice", "1001@chat.test/a", ""), gone("alice", "<item nick='al'/><status code='303'/>"))
	if who("alice") != "" {
		t.Errorf("alice is still %q", who("alice"))
	}
	tell(occupantPresence("other@conference.chat.test", "x", "1001@chat.test", "110"))
	if s.Joined("other@conference.chat.test") {
		t.Error("in a room that is not served")
	}
	tell(gone("chatrelay", "<item nick='relay2'/><status code='110'/><status code='303'/>"))
	if o, _ := s.Speaker(roomJID, "relay2"); !o.Self || o.Real != ownJID+"/chatrelay" {
		t.Errorf("after a change of our nick: %+v", o)
	}
	tell(gone("relay2", "<item/><status code='110'/><status code='307'/>"))
	if s.Joined(roomJID) || who("boss") != "" {
		t.Error("still in the room, or still knowing people, after a kick")
	}
	if r := s.at(roomJID); r.gone != "we were kicked" {
		t.Errorf("gone because %q", r.gone)
	}
}

// What is said while the room is joined once more is still somebody's; who is not told of any more is gone afterwards.
func TestJoinedOnceMore(t *testing.T) {
	s := seated(t)
	r := s.at(roomJID)
	r.announced = map[string]bool{} // as ask begins
	says := func(nick string) Occupant {
		t.Helper()
		who, _ := s.Speaker(roomJID, nick)
		return who
	}
	tells := func(nick, real, codes string) {
		s.Presence(stanzatest.Parse(t, occupantPresence(roomJID, nick, real, codes)))
	}
	if in := says("alice"); stanza.Bare(in.Real) != "1001@chat.test" {
		t.Errorf("alice is taken for %+v", in)
	}
	if in := says("chatrelay"); !in.Self {
		t.Errorf("we are taken for %+v", in)
	}
	tells("alice", "1001@chat.test/b", "")
	tells("boss", "1003@chat.test/b", "") // another now
	if in := says("boss"); stanza.Bare(in.Real) != "1003@chat.test" {
		t.Errorf("boss is taken for %+v", in)
	}
	tells("chatrelay", ownJID+"/chatrelay", "110 100")
	if in := says("guest"); in.Real != "" || s.at(roomJID).who.roles["guest"] != "" {
		t.Errorf("one who left is taken for %+v", in)
	}
	if in := says("alice"); stanza.Bare(in.Real) != "1001@chat.test" || !s.Joined(roomJID) || r.announced != nil {
		t.Errorf("alice is taken for %+v; told %v", in, r.announced)
	}
}

func TestRoomsAreRemembered(t *testing.T) {
	s := seated(t)
	s.Suspect("nobody@conference.chat.test")
	state := map[string][]byte{
		keyRoom + roomJID: []byte("chatrelay"), keyOccupant + roomJID + "/alice": []byte("1001@chat.test/a"),
		keyRoom + "old@conference.chat.test": []byte("nick"), keyOccupant + "old@conference.chat.test/x": []byte("y"),
	}
	s = newBoard(t, roomJID, blindJID)
	s.Restore(state)
	if o, _ := s.Speaker(roomJID, "alice"); o.Real != "1001@chat.test/a" || !s.Joined(roomJID) {
		t.Errorf("got %+v", o)
	}
	if left := s.unserved(); len(left) != 1 || left[0] != "old@conference.chat.test/nick" {
		t.Errorf("to be left: %v", left)
	}
	s.Reset()
	if o, _ := s.Speaker(roomJID, "alice"); o.Real != "" || s.Joined(roomJID) {
		t.Errorf("after a reset: %+v", o)
	}
}

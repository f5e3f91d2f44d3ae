package muc

import (
	"fmt"
	"testing"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

// Invitations outlast the process, have an end in number, and are over when somebody in the room says so; a room that is configured stays.
func TestInvitations(t *testing.T) {
	withBoard(t, func(b *board) {
		for i := range mostInvited + 5 {
			if got := b.Invitations.Follow(fmt.Sprintf("r%d@conference.chat.test", i), "backend@chat.test"); got != (i < mostInvited) {
				t.Errorf("%d: %v", i, got)
			}
		}
		const one = "r1@conference.chat.test"
		if !b.Invitations.Follow(one, "backend@chat.test") || !b.Serves(one) || !b.Serves(roomJID) || b.Serves("r200@conference.chat.test") {
			t.Error("other rooms are served")
		}
		b.Serve([]string{roomJID})
		if !b.Serves(one) || b.Serves(blindJID) {
			t.Error("after a reload")
		}
		b.commit()
		state, err := b.d.State(t.Context(), bridge.XMPP)
		if err != nil {
			t.Fatal(err)
		}
		state[keyRoom+one] = []byte("chatrelay")
		const former = "former@conference.chat.test"
		state[keyInvited+former] = []byte("former@chat.test")
		next := newBoard(b.t, roomJID)
		next.Restore(state)
		if !next.Invitations.Follows(one) || next.Nick(one) != "chatrelay" {
			t.Error("the next process does not know it")
		}
		if next.Invitations.Follows(former) || next.Serves(former) {
			t.Error("an invitation by who may not invite any more is followed")
		}
		gone := func(room, nick, inner string) {
			next.Presence(stanzatest.Parse(t, "<presence type='unavailable' from='"+room+"/"+nick+"'><x xmlns='"+stanza.NSMUCUser+"'>"+inner+"</x></presence>"))
		}
		gone(one, "mallory", "<item affiliation='outcast' role='none'/><status code='301'/>")
		gone(one, "chatrelay", "<item affiliation='none' role='none'/><status code='110'/><status code='332'/>")
		next.at(one).in = "chatrelay"
		gone(one, "chatrelay", "<item affiliation='none' role='none'/><status code='307'/><status code='333'/><status code='110'/>")
		if !next.Invitations.Follows(one) {
			t.Error("a network's error, or another's end, is the end of the invitation")
		}
		next.at(one).in = "chatrelay"
		gone(one, "chatrelay", "<item affiliation='none' role='none'><actor nick='boss'/></item><status code='307'/><status code='110'/>")
		if next.Invitations.Follows(one) || next.Serves(one) {
			t.Error("thrown out, and served")
		}
		next.at(roomJID).in = "chatrelay"
		gone(roomJID, "chatrelay", "<item affiliation='outcast' role='none'/><status code='301'/><status code='110'/>")
		if !next.Serves(roomJID) {
			t.Error("a configured room is given up")
		}
		next.commit()
	})
}

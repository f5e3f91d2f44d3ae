package muc

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

// Who belongs to a room is on its lists, or a person who sits there; it is known while the lists are not, and to the next process.
func TestMembers(t *testing.T) {
	withBoard(t, func(b *board) {
		wants := func(b *board, when string, want ...string) {
			t.Helper()
			if got := b.Members.Of(roomJID); !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", when, got, want)
			}
		}
		b.sit("Ann", "participant") // a landline's own occupant
		people := []string{"1001@chat.test", "backend@chat.test", "receiver@chat.test", "someone@elsewhere.test"}
		wants(b, "people", people...)
		x := func(affiliation, who string) {
			b.Message(stanzatest.Parse(t, "<message from='"+roomJID+"'><x xmlns='"+stanza.NSMUCUser+"'><item affiliation='"+affiliation+"' jid='"+who+"'/></x></message>"))
		}
		x("member", "2001@relay.chat.test")
		x("outcast", "1009@chat.test")
		wants(b, "one on a list", append([]string{"2001@relay.chat.test"}, people...)...)
		r := b.at(roomJID)
		r.who.take(map[string]string{"1007@chat.test": "owner", "1001@chat.test": "member", "1009@chat.test": outcast}, nil)
		listed := []string{"1001@chat.test", "1007@chat.test"}
		wants(b, "the lists", append(slices.Clone(listed), people[1:]...)...)
		rows := b.Members.save(r)
		if len(rows) != 1 || len(b.Members.save(r)) != 0 {
			t.Errorf("kept as %v", rows)
		}
		b.Reset()
		wants(b, "out of the room", listed...)
		r.who.take(map[string]string{"1007@chat.test": "owner"}, nil)
		wants(b, "back", "1007@chat.test")

		next := newBoard(b.t, roomJID)
		next.Restore(map[string][]byte{rows[0].Key: rows[0].Value, keyMembers + "gone@conference.chat.test": []byte("x@y")})
		wants(next, "the next process", listed...)
		next.Message(stanzatest.Parse(t, "<message from='"+roomJID+"'><x xmlns='"+stanza.NSMUCUser+"'><item affiliation='outcast' jid='1007@chat.test'/></x></message>"))
		wants(next, "banned before the lists are known again", "1001@chat.test")
		next.Presence(stanzatest.Parse(t, "<presence from='"+roomJID+"/Bea'><x xmlns='"+stanza.NSMUCUser+
			"'><item affiliation='admin' role='moderator' jid='2002@relay.chat.test/x'/></x></presence>"))
		if next.Members.Listed(roomJID, "2002@relay.chat.test") {
			t.Error("what the component is in the room counts for a landline")
		}
		if again := newBoard(b.t, blindJID); again.Members.Of(roomJID) != nil {
			t.Error("of a room that is not served")
		}
	})
}

// Lists without end make no deliveries without end; who is on one goes before who only sits there.
func TestMembersAreBounded(t *testing.T) {
	withBoard(t, func(b *board) {
		found := map[string]string{}
		for i := range 5 * mostMembers {
			found[fmt.Sprintf("m%d@chat.test", i)] = "member"
		}
		b.at(roomJID).who.take(found, nil)
		got := b.Members.Of(roomJID)
		if len(got) != mostMembers || slices.ContainsFunc(got, func(bare string) bool { return !strings.HasPrefix(bare, "m") }) {
			t.Errorf("%d are counted, from %s to %s", len(got), got[0], got[len(got)-1])
		}
		if rows := b.Members.save(b.at(roomJID)); len(rows) != 1 || strings.Count(string(rows[0].Value), "\n") != mostMembers-1 {
			t.Error("the journal keeps another number of them")
		}
		b.commit()
		b.Serve(nil)
		if !b.remove(b.at(roomJID)) || b.Members.Of(roomJID) != nil {
			t.Error("a room that is left has members")
		}
		b.commit()
		if state, err := b.d.State(t.Context(), bridge.XMPP); err != nil || state[keyMembers+roomJID] != nil {
			t.Error("the journal remembers them")
		}
	})
}

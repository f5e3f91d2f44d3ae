package muc

import (
	"context"
	"errors"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

// A room that stays away is out of reach after a while, and lost after a day with a login; but one whom it had banned
// does not gain by that.
func TestStandingOutOfReach(t *testing.T) {
	const room = "team@rooms.example.org"
	s := newBoard(t, room)
	r, now := s.at(room), time.Now()
	r.who.affiliate("1003@chat.test", outcast)
	r.who.affiliate("evil.example", outcast)
	wants := func(when string, c Login, age, after time.Duration, rest, banned bridge.Standing) {
		t.Helper()
		for bare, want := range map[string]bridge.Standing{"1001@chat.test": rest, "1003@chat.test": banned, "1001@evil.example": banned} {
			if got := s.Standing(room, bare, c, age, now.Add(after)); got != want {
				t.Errorf("%s: %s has standing %d, want %d", when, bare, got, want)
			}
		}
	}
	wants("at first", nil, 0, 0, bridge.StandingUnknown, bridge.StandingUnknown)
	wants("after a minute", nil, 0, time.Minute, bridge.StandingOutOfReach, bridge.StandingUnknown)
	wants("after days without a login", nil, 0, 72*time.Hour, bridge.StandingOutOfReach, bridge.StandingUnknown)
	c := &login{ctx: t.Context()}
	wants("after days, with a fresh login", c, time.Hour, 72*time.Hour, bridge.StandingOutOfReach, bridge.StandingUnknown)
	wants("after days, with a login", c, 71*time.Hour, 72*time.Hour, bridge.StandingLost, bridge.StandingOutcast)
}

// What is said of somebody while the lists are on their way is newer than they are.
func TestListsAndNews(t *testing.T) {
	r := &room{jid: "team@rooms.example.org"}
	r.who.affiliate("old@x", "member")
	r.who.affiliate("hidden@x", "owner")
	r.who.news = map[string]string{}
	r.who.affiliate("new@x", outcast)
	r.who.affiliate("gone@x", "none")
	r.who.take(map[string]string{"new@x": "member", "gone@x": "admin", "kept@x": "member", "": "member"}, []string{"owner"})
	for bare, want := range map[string]string{"old@x": "", "hidden@x": "owner", "new@x": outcast, "gone@x": "", "kept@x": "member"} {
		if got := r.who.affiliation(bare); got != want {
			t.Errorf("%s is %q, want %q", bare, got, want)
		}
	}
}

// Nobody but the room says who belongs to it.
func TestForgedAffiliations(t *testing.T) {
	const room = "team@rooms.example.org"
	s := newBoard(t, room)
	x := func(n string) string {
		return "<x xmlns='" + stanza.NSMUCUser + "'><item affiliation='owner' jid='" + n + "@chat.test'/></x>"
	}
	for _, stanza := range []string{
		"<message from='" + room + "/mallory'>" + x("a") + "</message>",
		"<message from='" + room + "/mallory' type='groupchat'><body>hi</body>" + x("b") + "</message>",
		"<message from='mallory@chat.test'>" + x("c") + "</message>",
		"<message from='" + room + "' type='error'>" + x("d") + "</message>",
		"<message from='" + room + "'>" + x("e") + x("f") + "</message>",
	} {
		s.affiliated(stanzatest.Parse(t, stanza))
	}
	if n := len(s.at(room).who.affiliations); n != 0 {
		t.Errorf("believed: %v", s.at(room).who.affiliations)
	}
	s.affiliated(stanzatest.Parse(t, "<message from='"+room+"'>"+x("g")+"</message>"))
	if got := s.at(room).who.affiliation("g@chat.test"); got != "owner" {
		t.Errorf("the room's own word: %q", got)
	}
}

// A room of whose occupants the journal has no roles is joined anew.
func TestRolesAreCompleted(t *testing.T) {
	const room = "team@rooms.example.org"
	s := newBoard(t, room)
	s.Restore(map[string][]byte{keyRoom + room: []byte("chatrelay"), keyOccupant + room + "/anna": []byte("1001@chat.test/x")})
	if r := s.at(room); !r.rejoin {
		t.Error("the version before kept no roles, and it is not asked")
	}
	s = newBoard(t, room)
	s.Restore(map[string][]byte{keyRoom + room: []byte("chatrelay"), keyOccupant + room + "/anna": []byte("1001@chat.test/x"),
		keyRole + room + "/anna": []byte("participant"), keyRole + "left@rooms.example.org/x": []byte("visitor")})
	if r := s.at(room); r.rejoin || r.standing("1001@chat.test") != bridge.StandingMember {
		t.Errorf("again %v, standing %d", r.rejoin, r.standing("1001@chat.test"))
	}
}

// Lists at which logins ended are asked again after a while: else a few cuts would shut out members for good.
func TestListsAfterCuts(t *testing.T) {
	var m membership
	now := time.Now()
	for n := range mostCuts {
		if !m.due(now) {
			t.Fatalf("not asked after %d cuts", n)
		}
	}
	if m.due(now.Add(askListsEvery / 2)) {
		t.Error("asked at once after too many cuts")
	}
	if !m.due(now.Add(askListsEvery + time.Second)) {
		t.Error("never asked again")
	}
	if m.due(now.Add(askListsEvery + 2*time.Second)) {
		t.Error("asked at once after one more")
	}
}

// login is one that nobody answers.
type login struct{ ctx context.Context }

// Ask implements Login.
func (c *login) Ask(context.Context, string, string, string) (*stanza.Element, error) {
	return nil, errors.New("no answer")
}

// Context implements Login.
func (c *login) Context() context.Context { return c.ctx }

// Write implements Login.
func (c *login) Write([]byte) error { return nil }

// Go implements Login.
func (c *login) Go(f func()) { go f() }

package muc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/xmppside/stanza/stanzatest"
)

const (
	roomJID  = "room@conference.chat.test"
	blindJID = "blind@conference.chat.test"
	ownJID   = "receiver@chat.test"
)

// board is a relay in its rooms, with a journal whose time the test drives. It is the rooms' Side, too.
type board struct {
	*Rooms
	t *testing.T
	m *bridgetest.Memory
	d *bridgetest.SideJournal
}

// Requeued implements Side.
func (b *board) Requeued() {}

// Changed implements Side.
func (b *board) Changed() {}

// Leaving implements Side.
func (b *board) Leaving() bool { return false }

// GaveBack implements Side.
func (b *board) GaveBack(*Bounce) {}

// newBoard is in no room yet.
func newBoard(t *testing.T, rooms ...string) *board {
	t.Helper()
	m := bridgetest.NewMemory(t)
	b := &board{t: t, m: m, d: m.SideJournal()}
	b.Rooms = New(Config{Rooms: rooms, Nick: "chatrelay", Component: "relay.chat.test", Side: b, Journal: b.d, Log: zerolog.Nop(),
		Ours:    func(id, room string) bool { return strings.HasPrefix(id, "cr-") && strings.HasSuffix(id, room) },
		Trusted: func(bare string) bool { return bare == "backend@chat.test" }})
	return b
}

var occupantPresence = stanzatest.OccupantPresence

// seated is a board that sits in its rooms: 1001 is alice in one; the other does not tell.
func seated(t *testing.T) *board {
	t.Helper()
	b := newBoard(t, roomJID, blindJID)
	for _, p := range []string{
		occupantPresence(roomJID, "alice", "1001@chat.test/a", ""),
		occupantPresence(roomJID, "boss", "backend@chat.test/a", ""),
		occupantPresence(roomJID, "guest", "someone@elsewhere.test/a", ""),
		occupantPresence(roomJID, "chatrelay", ownJID+"/chatrelay", "110 100"),
		occupantPresence(roomJID, "other", ownJID+"/other", ""),
		occupantPresence(blindJID, "alice", "", ""),
		occupantPresence(blindJID, "chatrelay", "", "110"),
	} {
		b.Presence(stanzatest.Parse(t, p))
	}
	return b
}

func withBoard(t *testing.T, run func(b *board)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(seated(t)) })
}

func idOf(ref bridge.Ref) string { return "cr-" + ref.String() + "-" + roomJID }

// post sends the next one as the side does, up to what got onto the stream.
func (b *board) post(from string) (*Post, error) {
	b.t.Helper()
	b.m.Add(bridge.KindRoom, from, roomJID, "x")
	return b.again()
}

// again takes what the journal has next.
func (b *board) again() (*Post, error) {
	b.t.Helper()
	out, err := b.d.Next(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	l := &Post{Ref: out.Ref, To: out.To, ID: idOf(out.Ref), From: out.From, Sum: b.Posts.Sum(fmt.Append(nil, "body of ", out.Ref))}
	if err := b.Posts.Reserve(l); err != nil {
		b.d.Release(out.Ref)
		return nil, err
	}
	b.Posts.Bound(l, b.d.Bind(out.Ref, []byte("bound")))
	return l, nil
}

func (b *board) mustPost(from string) *Post {
	b.t.Helper()
	l, err := b.post(from)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// hear takes a stanza of a room.
func (b *board) hear(text string) {
	b.t.Helper()
	b.Posts.Reflected(stanzatest.Parse(b.t, text))
	b.commit()
}

// commit waits until the journal has what it was given.
func (b *board) commit() {
	synctest.Wait()
	time.Sleep(10 * time.Millisecond) // the journal commits each millisecond
}

func (b *board) reflect(l *Post) {
	b.t.Helper()
	b.hear(fmt.Sprintf("<message type='groupchat' from='%s/chatrelay' id='%s'><body>x</body></message>", roomJID, l.ID))
}

// bounce gives a post back, as the side has read it.
func (b *board) bounce(l *Post, later bool) {
	b.t.Helper()
	b.Posts.Bounced(&Bounce{Ref: l.Ref, Room: roomJID, Why: bridge.Refuse("bounce_full", "full"), Later: later})
	b.commit()
}

func (b *board) want(l *Post, st bridgetest.DeliveryState, word string) {
	b.t.Helper()
	got, err := b.m.Delivery(l.Ref)
	output := ""
	if why := (*bridge.Refusal)(nil); errors.As(err, &why) {
		output = why.Reason
	}
	if got != st || output != word {
		b.t.Errorf("%v is %s (%v), want %s %s", l.Ref, got, err, st, word)
	}
}

// in tells when the next post of the room may leave.
func (b *board) in() time.Duration {
	b.t.Helper()
	l := &Post{Ref: bridge.Ref{Msg: 1 << 40}, To: roomJID}
	err := b.Posts.Reserve(l)
	if err == nil {
		b.Posts.Forget(l)
		return 0
	}
	var later bridge.RetryLater
	if !errors.As(err, &later) {
		b.t.Fatalf("got %v", err)
	}
	return later.RetryIn()
}

func (b *board) pings() pinger { return pinger{b.Posts} }

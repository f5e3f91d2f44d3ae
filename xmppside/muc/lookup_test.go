package muc

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/xmppside/stanza/stanzatest"
)

// What is lost with its stream is looked for; what certainly did not arrive is sent again without being counted.
func TestSought(t *testing.T) {
	withBoard(t, func(b *board) {
		p := b.Posts
		arrived, gone, never := b.mustPost("2001"), b.mustPost("2001"), b.mustPost("2001")
		time.Sleep(10 * time.Millisecond)
		p.Acked(arrived)
		p.Lose(gone, true)
		p.Lose(never, false)
		p.Lose(&Post{Ref: arrived.Ref, To: roomJID}, true) // a stanza of before
		if since := p.beginSearch(roomJID, false); since.IsZero() || !p.Recounting(roomJID) {
			t.Error("no history is asked for")
		}
		b.want(arrived, bridgetest.Bound, "")
		if b.in() == 0 {
			t.Error("what is newer may go first")
		}
		p.beginSearch(roomJID, true)
		p.matchArchived(roomJID, stanzatest.Parse(t, fmt.Sprintf("<message type='groupchat' from='%s/x' id='%s'><body>x</body></message>", roomJID, arrived.ID)))
		b.hear("<message type='groupchat' from='" + roomJID + "'><subject/></message>")
		if p.Recounting(roomJID) {
			t.Error("the subject ends the history")
		}
		p.requeueSearched(roomJID)
		time.Sleep(10 * time.Millisecond)
		b.want(arrived, bridgetest.Settled, "")
		b.want(gone, bridgetest.Waiting, "")
		b.want(never, bridgetest.Waiting, "")
		if n := b.m.Counted(bridge.MaybeDuplicate); n != 1 || b.in() != 0 {
			t.Errorf("maybe_duplicate is %d", n)
		}
	})
}

// A binding whose commit fails leaves nothing behind.
func TestUncommittedPost(t *testing.T) {
	withBoard(t, func(b *board) {
		kept := b.mustPost("2001")
		time.Sleep(10 * time.Millisecond)
		b.m.Fail(errors.New("no room"))
		b.mustPost("2001")
		time.Sleep(10 * time.Millisecond)
		b.m.Fail(nil)
		b.Posts.Verify()
		if open := b.Posts.byRoom[roomJID].open; len(open) != 1 || open[0].tag != kept {
			t.Errorf("%d are open", len(open))
		}
	})
}

// A history that cannot be read is not asked for once more.
func TestHistoryTooLarge(t *testing.T) {
	withBoard(t, func(b *board) {
		p := b.Posts
		cut := "<message type='groupchat' from='" + roomJID + "/alice'/>"
		p.TooLarge(stanzatest.Parse(t, cut)) // it came live
		b.mustPost("2001")
		if p.beginSearch(roomJID, true).IsZero() {
			t.Fatal("no history is asked for")
		}
		p.TooLarge(stanzatest.Parse(t, cut))
		if !p.beginSearch(roomJID, true).IsZero() {
			t.Error("it is asked for again")
		}
		p.requeueSearched(roomJID)
		b.m.Until(t, "given back", func(s bridgetest.Sum) bool { return s.Deliveries[bridgetest.Waiting] == 1 })
		if _, err := b.again(); err != nil {
			t.Fatal(err)
		}
		if p.beginSearch(roomJID, true).IsZero() {
			t.Error("never again")
		}
	})
}

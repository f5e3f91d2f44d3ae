package muc

import (
	"testing"
	"time"

	"chatrelay/bridge/bridgetest"
)

func TestSelfPing(t *testing.T) {
	late := func(b *board) *post { b.t.Helper(); return b.Posts.byRoom[roomJID].open[0] }
	withBoard(t, func(b *board) {
		p := b.Posts
		l := b.mustPost("2001")
		time.Sleep(time.Minute)
		if due := b.pings().overdue(time.Now()); len(due) > 0 {
			t.Error("asked before our server has the post")
		}
		p.Acked(l)
		if due := b.pings().overdue(time.Now()); len(due) > 0 {
			t.Error("asked at once")
		}
		time.Sleep(2 * pingAfter)
		if due := b.pings().overdue(time.Now()); len(due) != 1 || len(b.pings().overdue(time.Now())) != 0 {
			t.Errorf("asks %v, want once", due)
		}
		b.pings().asked(roomJID, []*post{late(b)}, seatHeld)
		b.want(l, bridgetest.Bound, "") // ejabberd may keep it back
		time.Sleep(dropsAfter)
		behind := b.mustPost("2001")
		b.pings().asked(roomJID, []*post{late(b)}, seatSilent)
		b.want(l, bridgetest.Bound, "")
		if b.in() == 0 {
			t.Error("sent to a room that does not answer")
		}
		b.pings().asked(roomJID, []*post{late(b)}, seatUnknown)
		time.Sleep(10 * time.Millisecond)
		b.want(l, bridgetest.Settled, "not_reflected")
		b.want(behind, bridgetest.Bound, "")
		if b.in() != 0 {
			t.Error("it answers again, and gets nothing")
		}
	})
	t.Run("a slow room", func(t *testing.T) {
		withBoard(t, func(b *board) {
			p := b.Posts
			l := b.mustPost("2001")
			b.bounce(l, true)
			time.Sleep(waitDelay)
			l, err := b.again()
			if err != nil {
				t.Fatal(err)
			}
			p.Acked(l)
			time.Sleep(2 * dropsAfter)
			b.pings().asked(roomJID, []*post{late(b)}, seatHeld)
			b.want(l, bridgetest.Bound, "")
		})
	})
	t.Run("a day without a word", func(t *testing.T) {
		withBoard(t, func(b *board) {
			l := b.mustPost("2001")
			b.Posts.Acked(l)
			b.Posts.beginSearch(roomJID, true)
			late(b).since = time.Now().Add(-giveUpAfter - time.Second)
			b.pings().overdue(time.Now())
			time.Sleep(10 * time.Millisecond)
			b.want(l, bridgetest.Settled, "not_reflected")
		})
	})
}

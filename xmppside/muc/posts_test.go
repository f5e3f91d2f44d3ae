package muc

import (
	"errors"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
)

func TestSentWhenReflected(t *testing.T) {
	withBoard(t, func(b *board) {
		l := b.mustPost("2001")
		b.Posts.Acked(l)
		time.Sleep(time.Second)
		b.want(l, bridgetest.Bound, "")
		b.reflect(l)
		b.want(l, bridgetest.Settled, "")
		b.Posts.Acked(l) // late
		b.reflect(l)     // twice
		if n := b.m.Sum().Settles; n != 1 {
			t.Errorf("closed %d times", n)
		}
	})
}

// not-acceptable is what a room says to who is not in it, and may say of a message.
func TestNotAcceptable(t *testing.T) {
	notAcceptable := func(b *board, l *Post) {
		b.t.Helper()
		b.Posts.Bounced(&Bounce{Ref: l.Ref, Room: roomJID, Why: bridge.Refuse("bounce_not_acceptable", "no"), Seat: true})
		b.commit()
	}
	for state, word := range map[seatState]string{seatHeld: "bounce_not_acceptable", seatLost: "", seatSilent: ""} {
		withBoard(t, func(b *board) {
			l := b.mustPost("2001")
			time.Sleep(10 * time.Millisecond)
			notAcceptable(b, l)
			b.want(l, bridgetest.Bound, "")
			if due := b.pings().overdue(time.Now()); len(due) != 1 {
				t.Error("the room is not asked whether it knows us")
			}
			b.pings().asked(roomJID, b.pings().atServer(roomJID), state)
			time.Sleep(10 * time.Millisecond)
			if word != "" {
				b.want(l, bridgetest.Settled, word)
				return
			}
			b.want(l, bridgetest.Bound, "")
			b.Posts.beginSearch(roomJID, true)
			b.Posts.requeueSearched(roomJID)
			time.Sleep(10 * time.Millisecond)
			if b.want(l, bridgetest.Waiting, ""); b.m.Counted(bridge.MaybeDuplicate) != 0 {
				t.Error("it certainly did not arrive, and is counted")
			}
		})
	}
	withBoard(t, func(b *board) { // banned
		l := b.mustPost("2001")
		b.lost(b.at(roomJID), "x")
		notAcceptable(b, l)
		b.want(l, bridgetest.Settled, "bounce_not_acceptable")
	})
}

func TestOneAtATime(t *testing.T) {
	withBoard(t, func(b *board) {
		first, second, other := b.mustPost("2001"), b.mustPost("2001"), b.mustPost("2002")
		b.bounce(first, true)
		b.want(first, bridgetest.Waiting, "")
		b.Posts.Acked(first) // of the stanza that was bounced
		if b.in() == 0 {
			t.Error("it may leave again at once")
		}
		time.Sleep(waitDelay)
		if b.in() == 0 {
			t.Error("it may leave before what is under way is reflected")
		}
		b.reflect(second)
		b.reflect(other)
		if n := b.m.Counted(bridge.Reordered); n != 1 {
			t.Errorf("%d reordered, want the one of the same sender", n)
		}
		again, err := b.again()
		if err != nil || again.Ref != first.Ref || again.ID != first.ID {
			t.Fatalf("got %v (%v)", again, err)
		}
		if b.in() == 0 {
			t.Error("two at a time")
		}
		b.reflect(again)
		b.want(again, bridgetest.Settled, "")
		if b.in() != 0 {
			t.Error("none at a time")
		}

		// The next process knows.
		p := newPosts(b.Rooms)
		p.restore(map[string][]byte{keySlow + roomJID: b.m.Row(keySlow + roomJID), keySlow + blindJID: {0, 0, 0, 0, 0, 0, 0, 1}})
		if !time.Now().Before(p.byRoom[roomJID].slow) || time.Now().Before(p.byRoom[blindJID].slow) {
			t.Error("not the right rooms are slow after a restart")
		}
		b.Posts.byRoom[roomJID].slow = time.Now() // an hour later
		b.mustPost("2001")
		b.mustPost("2001")
	})
}

// A room that goes on bouncing is asked less and less often.
func TestBouncesBackOff(t *testing.T) {
	withBoard(t, func(b *board) {
		b.m.Add(bridge.KindRoom, "2001", roomJID, "x")
		began, n := time.Now(), 0
		for time.Since(began) < 3*time.Minute {
			l, err := b.again()
			var later bridge.RetryLater
			if errors.As(err, &later) {
				time.Sleep(later.RetryIn())
				continue
			}
			n++
			b.bounce(l, true)
			b.want(l, bridgetest.Waiting, "")
		}
		if n < 8 || n > 16 {
			t.Errorf("sent %d times in 3 minutes", n)
		}
	})
}

func TestRoomIsFull(t *testing.T) {
	withBoard(t, func(b *board) {
		var first *Post
		for i := range mostPosts {
			l := b.mustPost("2001")
			if b.Posts.Acked(l); i == 0 {
				first = l
			}
		}
		if b.in() == 0 {
			t.Error("there is no bound")
		}
		b.reflect(first)
		if b.in() != 0 {
			t.Error("room is not made")
		}
		if err := b.Posts.Reserve(&Post{Ref: bridge.Ref{Msg: 1}, To: blindJID}); err != nil {
			t.Errorf("another room: %v", err)
		}
	})
}

// Many senders wait for one room without keeping the relay busy, and go on soon once it is ready.
func TestManyLanesLookSeldom(t *testing.T) {
	const lanes = 2000
	withBoard(t, func(b *board) {
		first := b.mustPost("2001")
		b.Posts.Lose(first, true) // the room is asked for it
		began, looks, passed := time.Now(), 0, 0
		due := make([]time.Time, lanes)
		step := func(until time.Duration) {
			for ; time.Since(began) < until; time.Sleep(time.Millisecond) {
				for i := range due {
					if due[i].IsZero() && passed > 0 || time.Now().Before(due[i]) {
						continue
					}
					l := &Post{Ref: bridge.Ref{Msg: 1000 + uint64(i)}, To: roomJID}
					looks++
					switch err := b.Posts.Reserve(l).(type) {
					case nil:
						b.Posts.Forget(l)
						passed++
						due[i] = time.Now().Add(24 * time.Hour)
					case *laterError:
						due[i] = time.Now().Add(err.in)
					default:
						t.Fatal(err)
					}
				}
			}
		}
		step(5 * time.Second)
		if most := lanes + int(5*time.Second/lookGap) + 1; looks > most {
			t.Errorf("%d looks of %d lanes in 5 s, want %d at most", looks, lanes, most)
		}
		b.Posts.requeueSearched(roomJID)
		step(5*time.Second + longestLook + time.Second)
		if passed != lanes {
			t.Errorf("%d of %d went on", passed, lanes)
		}
	})
}

func TestReflections(t *testing.T) {
	const delayed = "<delay xmlns='urn:xmpp:delay' from='" + roomJID + "' stamp='2026-01-01T00:00:00Z'/>"
	for name, c := range map[string]struct {
		nick, id, more string // ID stands for ours
		body           string // BODY stands for ours
		settled        bool
	}{
		"as it was":                    {"chatrelay", "ID", "", "other", true},
		"an id of the room's":          {"chatrelay", "r1", "<origin-id xmlns='urn:xmpp:sid:0' id='ID'/>", "other", true},
		"no id":                        {"chatrelay", "", "", "BODY", true},
		"an id of the room's, no more": {"chatrelay", "r1", "", "BODY", true},
		"history":                      {"chatrelay", "ID", delayed, "other", true},
		"history, under an old nick":   {"older", "ID", delayed, "other", true},
		"from before our seat":         {"nobody", "ID", "", "other", true},
		"another's":                    {"alice", "ID", "", "BODY", false},
		"another's, with the body":     {"alice", "r1", "", "BODY", false},
		"another body":                 {"chatrelay", "r1", "", "other", false},
		"an older post of ours":        {"chatrelay", "OTHER", "", "BODY", false},
		"no body":                      {"chatrelay", "ID", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			withBoard(t, func(b *board) {
				l := b.mustPost("2001")
				fill := map[string]string{"ID": l.ID, "OTHER": idOf(bridge.Ref{Msg: 99}), "BODY": "body of " + l.Ref.String()}
				text := "<message type='groupchat' from='" + roomJID + "/" + c.nick + "'"
				if c.id != "" {
					text += " id='" + filled(c.id, fill) + "'"
				}
				text += ">" + filled(c.more, fill)
				if c.body != "" {
					text += "<body>" + filled(c.body, fill) + "</body>"
				}
				b.hear(text + "</message>")
				if c.settled {
					b.want(l, bridgetest.Settled, "")
				} else {
					b.want(l, bridgetest.Bound, "")
				}
			})
		})
	}
}

func filled(text string, with map[string]string) string {
	for k, v := range with {
		if text == k {
			return v
		}
		if i := len(text) - len("'/>") - len(k); i > 0 && text[i:] == k+"'/>" {
			return text[:i] + v + "'/>"
		}
	}
	return text
}

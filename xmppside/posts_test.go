package xmppside

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/xmppside/stanza"
)

// board is a unit in its room, with a journal whose time the test drives.
type board struct {
	*Side
	t *testing.T
	m *bridgetest.Memory
	d *bridgetest.SideJournal
}

func withBoard(t *testing.T, run func(b *board)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, m := seated(t), bridgetest.NewMemory(t)
		d := m.SideJournal()
		s.journal = d
		run(&board{s, t, m, d})
	})
}

// post sends the next one as Send does, up to what got onto the stream.
func (b *board) post(from string) (*outgoing, error) {
	b.t.Helper()
	b.m.Add(bridge.KindRoom, from, roomJID, "x")
	return b.again()
}

// again takes what the journal has next.
func (b *board) again() (*outgoing, error) {
	b.t.Helper()
	out, err := b.d.Next(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	out.Body = fmt.Append(nil, "body of ", out.Ref)
	r, why := b.render(&out)
	if why != nil {
		b.t.Fatal(why)
	}
	if err := b.rooms.posts.reserve(&r.outgoing); err != nil {
		b.d.Release(out.Ref)
		return nil, err
	}
	b.rooms.posts.bound(&r.outgoing, b.d.Bind(out.Ref, binding{n: 1, at: time.Now()}.bytes()))
	return &r.outgoing, nil
}

func (b *board) mustPost(from string) *outgoing {
	b.t.Helper()
	l, err := b.post(from)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// hear takes a stanza as conn.message does.
func (b *board) hear(text string) {
	b.t.Helper()
	e := parse(b.t, text)
	b.rooms.posts.reflected(e)
	if v := b.classify(e); v.bounced != nil && v.bounced.room != "" {
		b.rooms.posts.bounced(v.bounced)
	}
	synctest.Wait()
	time.Sleep(10 * time.Millisecond) // the journal commits each millisecond
}

func (b *board) reflect(l *outgoing) {
	b.t.Helper()
	b.hear(fmt.Sprintf("<message type='groupchat' from='%s/chatrelay' id='%s'><body>x</body></message>", roomJID, l.id))
}

func (b *board) bounce(from string, l *outgoing, kind string) {
	b.t.Helper()
	b.hear(fmt.Sprintf("<message type='error' from='%s' id='%s'><error type='%s'><resource-constraint xmlns='%s'/></error></message>",
		from, l.id, kind, stanza.NSStanzas))
}

func (b *board) want(l *outgoing, st bridgetest.DeliveryState, word string) {
	b.t.Helper()
	got, err := b.m.Delivery(l.ref)
	if got != st || refusalWord(err) != word {
		b.t.Errorf("%v is %s (%v), want %s %s", l.ref, got, err, st, word)
	}
}

// in tells when the next post of the room may leave.
func (b *board) in() time.Duration {
	b.t.Helper()
	err := b.rooms.posts.reserve(&outgoing{ref: bridge.Ref{Msg: 1 << 40}, to: roomJID})
	if err == nil {
		b.rooms.posts.forget(b.rooms.posts.byRoom[roomJID].open[len(b.rooms.posts.byRoom[roomJID].open)-1].tag)
		return 0
	}
	var later bridge.RetryLater
	if !errors.As(err, &later) {
		b.t.Fatalf("got %v", err)
	}
	return later.RetryIn()
}

func TestSentWhenReflected(t *testing.T) {
	withBoard(t, func(b *board) {
		l := b.mustPost("2001")
		b.rooms.posts.acked(l)
		time.Sleep(time.Second)
		b.want(l, bridgetest.Bound, "")
		b.reflect(l)
		b.want(l, bridgetest.Settled, "")
		b.rooms.posts.acked(l) // late
		b.reflect(l)           // twice
		if n := b.m.Sum().Settles; n != 1 {
			t.Errorf("closed %d times", n)
		}
	})
}

// A room post is bounced by its room or by a server, and by nobody in the room.
func TestForgedBounce(t *testing.T) {
	for from, word := range map[string]string{
		roomJID: "bounce_full", "conference.chat.test": "bounce_full", "chat.test": "bounce_full", ownJID: "bounce_full",
		roomJID + "/alice": "", roomJID + "/chatrelay": "", "1001@chat.test/x": "", "elsewhere.test": "", blindJID: "",
	} {
		withBoard(t, func(b *board) {
			l := b.mustPost("2001")
			b.bounce(from, l, "cancel")
			st := bridgetest.Bound
			if word != "" {
				st = bridgetest.Settled
			}
			b.want(l, st, word)
			b.reflect(l)
			if b.want(l, bridgetest.Settled, word); word != "" {
				return
			}
			b.bounce(from, l, "cancel") // of what was delivered
			if n := b.m.Counted("bounced"); n != 0 {
				t.Errorf("%s bounced it", from)
			}
		})
	}
}

// not-acceptable is what a room says to who is not in it, and may say of a message.
func TestNotAcceptable(t *testing.T) {
	notAcceptable := func(b *board, l *outgoing) {
		b.t.Helper()
		b.hear(fmt.Sprintf("<message type='error' from='%s' id='%s'><error type='cancel'><not-acceptable xmlns='%s'/></error></message>",
			roomJID, l.id, stanza.NSStanzas))
	}
	for said, word := range map[seatState]string{seatKept: "bounce_not_acceptable", seatLost: "", seatSilent: ""} {
		withBoard(t, func(b *board) {
			l := b.mustPost("2001")
			time.Sleep(10 * time.Millisecond)
			notAcceptable(b, l)
			b.want(l, bridgetest.Bound, "")
			if due := b.rooms.posts.overdue(time.Now()); len(due) != 1 {
				t.Error("the room is not asked whether it knows us")
			}
			b.rooms.posts.asked(roomJID, b.rooms.posts.atServer(roomJID), said)
			time.Sleep(10 * time.Millisecond)
			if word != "" {
				b.want(l, bridgetest.Settled, word)
				return
			}
			b.want(l, bridgetest.Bound, "")
			b.rooms.posts.beginSearch(roomJID, true)
			b.rooms.posts.requeueSearched(roomJID)
			time.Sleep(10 * time.Millisecond)
			if b.want(l, bridgetest.Waiting, ""); b.m.Counted(bridge.MaybeDuplicate) != 0 {
				t.Error("it certainly did not arrive, and is counted")
			}
		})
	}
	withBoard(t, func(b *board) { // banned
		l := b.mustPost("2001")
		b.rooms.lost(b.rooms.at(roomJID), "x")
		notAcceptable(b, l)
		b.want(l, bridgetest.Settled, "bounce_not_acceptable")
	})
}

func TestOneAtATime(t *testing.T) {
	withBoard(t, func(b *board) {
		first, second, other := b.mustPost("2001"), b.mustPost("2001"), b.mustPost("2002")
		b.bounce(roomJID, first, "wait")
		b.want(first, bridgetest.Waiting, "")
		b.rooms.posts.acked(first) // of the stanza that was bounced
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
		if err != nil || again.ref != first.ref || again.id != first.id {
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
		p := newPosts(b.Side)
		p.restore(map[string][]byte{keySlow + roomJID: b.m.Row(keySlow + roomJID), keySlow + blindJID: {0, 0, 0, 0, 0, 0, 0, 1}})
		if !time.Now().Before(p.byRoom[roomJID].slow) || time.Now().Before(p.byRoom[blindJID].slow) {
			t.Error("not the right rooms are slow after a restart")
		}
		b.rooms.posts.byRoom[roomJID].slow = time.Now() // an hour later
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
			b.bounce(roomJID, l, "wait")
			b.want(l, bridgetest.Waiting, "")
		}
		if n < 8 || n > 16 {
			t.Errorf("sent %d times in 3 minutes", n)
		}
	})
}

func TestRoomIsFull(t *testing.T) {
	withBoard(t, func(b *board) {
		var first *outgoing
		for i := range mostPosts {
			l := b.mustPost("2001")
			if b.rooms.posts.acked(l); i == 0 {
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
		if err := b.rooms.posts.reserve(&outgoing{ref: bridge.Ref{Msg: 1}, to: blindJID}); err != nil {
			t.Errorf("another room: %v", err)
		}
	})
}

// Many senders wait for one room without keeping the relay busy, and go on soon once it is ready.
func TestManyLanesLookSeldom(t *testing.T) {
	const lanes = 2000
	withBoard(t, func(b *board) {
		first := b.mustPost("2001")
		b.rooms.posts.lose(first, true) // the room is asked for it
		began, looks, passed := time.Now(), 0, 0
		due := make([]time.Time, lanes)
		step := func(until time.Duration) {
			for ; time.Since(began) < until; time.Sleep(time.Millisecond) {
				for i := range due {
					if due[i].IsZero() && passed > 0 || time.Now().Before(due[i]) {
						continue
					}
					l := &outgoing{ref: bridge.Ref{Msg: 1000 + uint64(i)}, to: roomJID}
					looks++
					switch err := b.rooms.posts.reserve(l).(type) {
					case nil:
						b.rooms.posts.forget(l)
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
		b.rooms.posts.requeueSearched(roomJID)
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
				fill := map[string]string{"ID": l.id, "OTHER": b.ids.id(bridge.Ref{Msg: 99}, roomJID), "BODY": "body of " + l.ref.String()}
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

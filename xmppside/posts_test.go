package xmppside

import (
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
		m := bridgetest.NewMemory(t)
		d := m.SideJournal()
		s := unitOn(t, d)
		s.seat(t)
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
	if err := b.rooms.Posts.Reserve(r.post); err != nil {
		b.d.Release(out.Ref)
		return nil, err
	}
	b.rooms.Posts.Bound(r.post, b.d.Bind(out.Ref, binding{n: 1, at: time.Now()}.bytes()))
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
	b.rooms.Posts.Reflected(e)
	if v := b.classify(e); v.bounced != nil && v.bounced.Room != "" {
		b.rooms.Posts.Bounced(v.bounced)
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

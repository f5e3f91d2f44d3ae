package muc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

const seatJID = "2001@relay.chat.test"

// seatLogin keeps what is written.
type seatLogin struct {
	login
	wrote []string
}

// Write implements Login.
func (c *seatLogin) Write(raw []byte) error {
	c.wrote = append(c.wrote, string(raw))
	return nil
}

func ann() string { return "Ann" }

// last is what was written since it was last asked.
func (c *seatLogin) last() string {
	out := strings.Join(c.wrote, "")
	c.wrote = nil
	return out
}

func withSeats(t *testing.T, run func(b *board, c *seatLogin, take func() error)) {
	t.Helper()
	withBoard(t, func(b *board) {
		c := &seatLogin{login: login{b.t.Context()}}
		run(b, c, func() error { return b.Seats.Take(c, roomJID, seatJID+"/chatrelay", ann) })
	})
}

// joins is whether an attempt waits for the room's answer to that nick.
func joins(t *testing.T, c *seatLogin, err error, nick string) {
	t.Helper()
	_, untried := errors.AsType[untriedError](err)
	wrote := c.last()
	if !untried || !strings.Contains(wrote, "from='"+seatJID+"/chatrelay'") || !strings.Contains(wrote, "to='"+roomJID+"/"+nick+"'") {
		t.Fatalf("got %v, wrote %s", err, wrote)
	}
}

func (b *board) refuseSeat(condition string) {
	b.t.Helper()
	if !b.Seats.Hears(stanzatest.Parse(b.t, "<presence type='error' from='"+roomJID+"/Ann' to='"+seatJID+"/chatrelay'><error type='cancel'><"+condition+" xmlns='"+stanza.NSStanzas+"'/></error></presence>")) {
		b.t.Error("not heard")
	}
}

func (b *board) sit(nick, role string) {
	b.t.Helper()
	p := stanzatest.OccupantPresence(roomJID, nick, seatJID+"/chatrelay", "")
	b.Presence(stanzatest.Parse(b.t, strings.ReplaceAll(p, "participant", role)))
}

// A landline joins when it first speaks, under another nick where its own is taken, and leaves when it has not spoken for long.
func TestSeatJoinsAndLeaves(t *testing.T) {
	withSeats(t, func(b *board, c *seatLogin, take func() error) {
		joins(t, c, take(), "Ann")
		if err := take(); err == nil || c.last() != "" {
			t.Errorf("it is asked again, or does not wait: %v", err)
		}
		time.Sleep(4 * time.Second)
		if later, ok := errors.AsType[bridge.RetryLater](take()); !ok || later.RetryIn() != 2*time.Second {
			t.Error("it does not look less often")
		}
		b.refuseSeat("conflict")
		joins(t, c, take(), "Ann_2")
		b.sit("Ann_2", "participant")
		if err := take(); err != nil || b.Seats.Nick(roomJID, seatJID) != "Ann_2" {
			t.Errorf("%v; under %q", err, b.Seats.Nick(roomJID, seatJID))
		}
		now := time.Now()
		if out := b.Seats.leaving(now.Add(seatIdle - time.Second)); len(out) > 0 {
			t.Errorf("too early: %s", out)
		}
		if out := b.Seats.leaving(now.Add(seatIdle)); len(out) != 1 || string(out[0]) != "<presence from='"+seatJID+"/chatrelay' type='unavailable' to='"+roomJID+"/Ann_2'/>" {
			t.Errorf("wrote %s", out)
		}
	})
}

// One who sat there before the relay was started leaves, too; Keep sees to it.
func TestSeatOfBefore(t *testing.T) {
	withSeats(t, func(b *board, c *seatLogin, _ func() error) {
		b.sit("Ann", "participant")
		b.Seats.idle = time.Second
		ctx, end := context.WithCancel(b.t.Context())
		go b.Seats.Sweep(ctx, c)
		time.Sleep(2500 * time.Millisecond)
		end()
		synctest.Wait()
		if out := c.last(); !strings.Contains(out, "unavailable") {
			t.Errorf("wrote %q", out)
		}
	})
}

// Where a room does not let the landline in, the relay speaks for it; but for nobody whom the room has banned.
func TestSeatRefused(t *testing.T) {
	for condition, until := range map[string]time.Duration{"registration-required": seatRefused, "forbidden": seatPause, "": seatPause} {
		withSeats(t, func(b *board, c *seatLogin, take func() error) {
			joins(t, c, take(), "Ann")
			if condition != "" {
				b.refuseSeat(condition)
			} else {
				time.Sleep(seatWithin)
			}
			err := take()
			if why, banned := errors.AsType[*bridge.Refusal](err); banned != (condition == "forbidden") || banned && why.Reason != bridge.NotMember || !banned && err != nil {
				t.Errorf("%s: %v", condition, err)
			}
			at, now := seatKey{roomJID, seatJID}, time.Now()
			if try, _ := b.Seats.next(at, now.Add(until-time.Second)); try != 0 || b.Seats.Nick(roomJID, seatJID) != "" {
				t.Errorf("%s: asked again too early", condition)
			}
			if try, _ := b.Seats.next(at, now.Add(until+time.Second)); try != 1 {
				t.Errorf("%s: never asked again", condition)
			}
		})
	}
	withSeats(t, func(b *board, c *seatLogin, take func() error) {
		b.sit("Ann", visitor) // a moderated room
		if err := take(); err != nil || c.last() != "" || b.Seats.Nick(roomJID, seatJID) != "" {
			t.Errorf("%v; it speaks where it has no voice", err)
		}
		if err := b.Seats.Take(c, blindJID, seatJID+"/chatrelay", ann); err != nil || c.last() != "" {
			t.Errorf("%v; it joins a room that tells nobody's address", err)
		}
	})
}

// A room that says of a landline that he is not in it gets the message again, from the relay's own occupant.
func TestSeatLost(t *testing.T) {
	withSeats(t, func(b *board, _ *seatLogin, take func() error) {
		b.sit("Ann", "participant")
		if err := take(); err != nil {
			t.Fatal(err)
		}
		l := b.mustPost("2001")
		l.As = seatJID
		b.Posts.Bounced(&Bounce{Ref: l.Ref, Room: roomJID, Why: bridge.Refuse("bounce_not_acceptable", "no"), Seat: true})
		b.commit()
		if b.want(l, bridgetest.Waiting, ""); b.Seats.Nick(roomJID, seatJID) != "" || take() != nil {
			t.Error("he is to speak again")
		}
		time.Sleep(seatPause)
		if b.Seats.Nick(roomJID, seatJID) != "Ann" {
			t.Error("he never speaks again")
		}
	})
}

// What the room says to a landline is not heard twice; what it gives back to him is.
func TestSeatHears(t *testing.T) {
	withSeats(t, func(b *board, _ *seatLogin, _ func() error) {
		for text, want := range map[string]bool{
			"<message type='groupchat' from='" + roomJID + "/alice' to='" + seatJID + "/chatrelay'><body>x</body></message>": true,
			"<message type='error' from='" + roomJID + "' to='" + seatJID + "/chatrelay'/>":                                  false,
			"<message type='chat' from='" + roomJID + "/alice' to='" + seatJID + "/chatrelay'><body>x</body></message>":      false,
			"<message type='groupchat' from='" + roomJID + "/alice' to='relay.chat.test/chatrelay'><body>x</body></message>": false,
			"<message type='groupchat' from='a@elsewhere.test/b' to='" + seatJID + "/chatrelay'/>":                           false,
			"<presence from='" + roomJID + "/alice' to='" + seatJID + "/chatrelay'/>":                                        true,
			"<presence from='1001@chat.test/a' to='" + seatJID + "'/>":                                                       false,
		} {
			if got := b.Seats.Hears(stanzatest.Parse(t, text)); got != want {
				t.Errorf("%s: %v", text, got)
			}
		}
	})
}

// A landline leaves a room that is no longer served; so it does where it sits in one of which the relay knows nothing.
func TestSeatLeavesUnserved(t *testing.T) {
	withSeats(t, func(b *board, c *seatLogin, _ func() error) {
		b.sit("Ann", "participant")
		want := "<presence from='" + seatJID + "/chatrelay' type='unavailable' to='" + roomJID + "/Ann'/>"
		if out := b.Seats.leaveAll(roomJID); len(out) != 1 || string(out[0]) != want {
			t.Errorf("wrote %s", out)
		}
		if out := b.Seats.leaveAll(blindJID); len(out) > 0 {
			t.Errorf("wrote %s", out)
		}
		for text, want := range map[string]string{
			"<message type='groupchat' from='old@conference.chat.test/Bob' to='" + seatJID + "/chatrelay'><body>x</body></message>": "<presence from='" + seatJID + "/chatrelay' type='unavailable' to='old@conference.chat.test/Bob'/>",
			"<message type='groupchat' from='" + roomJID + "/alice' to='" + seatJID + "/chatrelay'><body>x</body></message>":        "",
			"<message type='chat' from='old@conference.chat.test/Bob' to='" + seatJID + "/chatrelay'><body>x</body></message>":      "",
			"<message type='groupchat' from='old@conference.chat.test/Bob' to='relay.chat.test/chatrelay'><body>x</body></message>": "<presence from='relay.chat.test/chatrelay' type='unavailable' to='old@conference.chat.test/Bob'/>",
			"<message type='groupchat' from='old@conference.chat.test/Bob' to='1001@chat.test/x'><body>x</body></message>":          "",
		} {
			if got := string(b.Seats.Stray(stanzatest.Parse(t, text))); got != want {
				t.Errorf("%s: wrote %q, want %q", text, got, want)
			}
		}
	})
}

// Nobody speaks for whom the room has banned or muted while he sat in it, whatever becomes of what was on its way.
func TestSeatTaken(t *testing.T) {
	for what, take := range map[string]func(b *board){
		"banned": func(b *board) {
			b.Presence(stanzatest.Parse(b.t, "<presence type='unavailable' from='"+roomJID+"/Ann'><x xmlns='"+stanza.NSMUCUser+
				"'><item affiliation='outcast' role='none' jid='"+seatJID+"/chatrelay'/><status code='301'/></x></presence>"))
		},
		"muted": func(b *board) { b.sit("Ann", visitor) },
	} {
		withSeats(t, func(b *board, c *seatLogin, try func() error) {
			b.sit("Ann", "participant")
			if err := try(); err != nil {
				t.Fatal(err)
			}
			l := b.mustPost("2001")
			l.As = seatJID
			take(b)
			b.Posts.Bounced(&Bounce{Ref: l.Ref, Room: roomJID, Why: bridge.Refuse("bounce_not_acceptable", "no"), Seat: true})
			b.commit()
			if why, ok := errors.AsType[*bridge.Refusal](try()); !ok || why.Reason != bridge.NotMember || c.last() != "" {
				t.Errorf("%s: the relay speaks for him", what)
			}
		})
	}
}

// However many speak in a room at once, few are let in at a time, and a room has only so many.
func TestSeatsAtOnce(t *testing.T) {
	withSeats(t, func(b *board, c *seatLogin, _ func() error) {
		try := func(n int) error {
			return b.Seats.Take(c, roomJID, fmt.Sprintf("3%03d@relay.chat.test/chatrelay", n), func() string { return fmt.Sprint("N", n) })
		}
		for n := range mostJoins + 5 {
			later, ok := errors.AsType[bridge.RetryLater](try(n))
			if wrote := c.last() != ""; !ok || wrote != (n < mostJoins) || !wrote && later.RetryIn() != seatQueue {
				t.Fatalf("%d: %v, wrote: %v", n, later, wrote)
			}
		}
		for n := range mostSeats + 5 {
			b.Presence(stanzatest.Parse(t, stanzatest.OccupantPresence(roomJID, fmt.Sprint("N", n), fmt.Sprintf("3%03d@relay.chat.test/chatrelay", n), "")))
			if err := try(n); err != nil {
				t.Fatalf("%d sits: %v", n, err)
			}
		}
		if err := try(500); err != nil || c.last() != "" {
			t.Errorf("one more joins: %v", err)
		}
		b.Reset()
		if len(b.Seats.joining) > 0 {
			t.Errorf("left: %v", b.Seats.joining)
		}
	})
}

// A room that was gone is not made by a landline's join.
func TestSeatMakesNoRoom(t *testing.T) {
	withSeats(t, func(b *board, c *seatLogin, take func() error) {
		joins(t, c, take(), "Ann")
		made := stanzatest.Parse(t, strings.Replace(stanzatest.OccupantPresence(roomJID, "Ann", seatJID+"/chatrelay", "110 201"), "<presence ", "<presence to='"+seatJID+"/chatrelay' ", 1))
		want := "<iq from='" + seatJID + "/chatrelay' type='set' id='unmake' to='" + roomJID + "'><query xmlns='" + stanza.NSMUCOwner + "'><destroy/></query></iq>"
		if out := b.Seats.Unmake(made); string(out) != want || b.Joined(roomJID) {
			t.Errorf("wrote %s; still in it: %v", out, b.Joined(roomJID))
		}
		if out := b.Seats.Unmake(stanzatest.Parse(t, stanzatest.OccupantPresence(roomJID, "Ann", seatJID+"/chatrelay", "110"))); out != nil {
			t.Errorf("wrote %s", out)
		}
	})
}

// A landline's nick may have been another's: what is told of before does not prove that a post without its ids has arrived.
func TestSeatOfAnotherBefore(t *testing.T) {
	withSeats(t, func(b *board, _ *seatLogin, _ func() error) {
		b.sit("Ann", "participant")
		l := b.mustPost("2001")
		l.As = seatJID
		body := "<message type='groupchat' from='" + roomJID + "/Ann' id='x'><body>" + fmt.Sprint("body of ", l.Ref) + "</body>"
		b.hear(body + "<delay xmlns='urn:xmpp:delay' from='" + roomJID + "' stamp='2026-11-30T00:00:00Z'/></message>")
		b.commit()
		b.want(l, bridgetest.Bound, "")
		b.hear(body + "</message>")
		b.commit()
		b.want(l, bridgetest.Settled, "")
	})
}

// What one sender says by two occupants keeps its order: the next one waits until the room has reflected the last.
func TestSeatKeepsOrder(t *testing.T) {
	withSeats(t, func(b *board, _ *seatLogin, _ func() error) {
		first := b.mustPost("2001")
		next := &Post{Ref: bridge.Ref{Msg: 1 << 40}, To: roomJID, From: "2001", As: seatJID}
		if _, ok := errors.AsType[bridge.RetryLater](b.Posts.Reserve(next)); !ok {
			t.Error("it overtakes")
		}
		if err := b.Posts.Reserve(&Post{Ref: bridge.Ref{Msg: 2 << 40}, To: roomJID, From: "2002", As: "2002@relay.chat.test"}); err != nil {
			t.Errorf("another one waits: %v", err)
		}
		b.reflect(first)
		if err := b.Posts.Reserve(next); err != nil {
			t.Error(err)
		}
	})
}

// Made-up landlines that speak take no memory without end, and whoever sits there is not forgotten for them.
func TestSeatsAreBounded(t *testing.T) {
	withSeats(t, func(b *board, c *seatLogin, take func() error) {
		joins(t, c, take(), "Ann")
		b.sit("Ann", "participant")
		if err := take(); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for i := range mostKnown + mostSeats {
			at := seatKey{roomJID, fmt.Sprintf("x%d@relay.chat.test", i)}
			_, _ = b.Seats.next(at, now)
			b.Seats.refused(at, "registration-required")
		}
		if n := len(b.Seats.known); n != mostKnown || b.Seats.known[seatKey{roomJID, seatJID}] == nil || b.Seats.joining[roomJID] != 0 {
			t.Errorf("%d are known, %d joining", n, b.Seats.joining[roomJID])
		}
	})
}

// A room whose answer the relay does not see is not waited for again and again.
func TestSeatUnseen(t *testing.T) {
	withSeats(t, func(b *board, c *seatLogin, take func() error) {
		for _, pause := range []time.Duration{seatPause, seatRefused} {
			joins(t, c, take(), "Ann")
			time.Sleep(seatWithin)
			if err := take(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause - time.Second)
			if err := take(); err != nil || c.last() != "" {
				t.Errorf("asked again within %v: %v", pause, err)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

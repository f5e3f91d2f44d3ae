package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

// fakeRooms are standings that a test sets. Who is not named stands as the rest does.
type fakeRooms struct {
	mu   sync.Mutex // guards both
	rest Standing
	by   map[string]Standing
}

func (f *fakeRooms) Standing(_, landline string) Standing {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, named := f.by[landline]; named {
		return s
	}
	return f.rest
}

const rowless = "empty@rooms.example.org" // a room without rows

// TestWhoMayPost is the rule: 1001 has a row for room, 1009 has none, nobody has one for rowless.
func TestWhoMayPost(t *testing.T) {
	for _, tt := range []struct {
		standing      Standing
		withRow, none permission
		copyRow, copy permission // of what was taken undecided: may its inbox copies leave?
	}{
		{StandingUnknown, undecided, undecided, undecided, undecided},
		{StandingOutOfReach, undecided, undecided, permitted, undecided},
		{StandingLost, undecided, undecided, permitted, abandoned},
		{StandingOutcast, forbidden, forbidden, forbidden, forbidden},
		{StandingNone, permitted, forbidden, permitted, forbidden},
		{StandingVisitor, forbidden, forbidden, forbidden, forbidden},
		{StandingMember, permitted, permitted, permitted, permitted},
	} {
		t.Run(fmt.Sprint(tt.standing), func(t *testing.T) {
			s := NewSenders(listed(testGroups), &fakeRooms{rest: tt.standing})
			for _, who := range []struct {
				from, room string
				want       permission
				copy       permission
			}{{"1001", room, tt.withRow, tt.copyRow}, {"1009", room, tt.none, tt.copy}, {"1001", rowless, tt.none, tt.copy}} {
				if got := s.post(NewDirectory(testGroups), who.room, who.from, ""); got != who.want {
					t.Errorf("%s to %s: %d, want %d", who.from, who.room, got, who.want)
				}
				out := Outbound{Kind: KindCopy, From: who.from, To: "1002", Note: Note{Post: &Post{Room: who.room}}}
				if got := s.leaves(&out); got != who.copy {
					t.Errorf("a copy of %s's to %s: %d, want %d", who.from, who.room, got, who.copy)
				}
				out.Kind = KindRoom // never by the row alone
				want := who.want
				if tt.standing == StandingLost {
					want = abandoned
				}
				if got := s.leaves(&out); got != want {
					t.Errorf("a post of %s's to %s: %d, want %d", who.from, who.room, got, want)
				}
			}
		})
	}
	for name, s := range map[string]*Senders{"any": NewSenders(listed(testGroups), nil), "no rule": nil} {
		if s.post(NewDirectory(testGroups), room, "1009", "1009") != permitted || s.leaves(&Outbound{Kind: KindRoom, From: "1009", Note: Note{Post: &Post{Room: room}}}) != permitted {
			t.Errorf("%s: somebody may not", name)
		}
	}
}

// On MQTT the inbox must be that of one who belongs to the group, if only as a listener.
func TestWhoseInboxIsOfTheGroup(t *testing.T) {
	rooms := &fakeRooms{rest: StandingNone, by: map[string]Standing{"2001": StandingMember, "2002": StandingVisitor,
		"1003": StandingOutcast, "2004": StandingUnknown, "2005": StandingOutOfReach}}
	s := NewSenders(listed(testGroups), rooms)
	for via, want := range map[string]permission{
		"1002": permitted, "2001": permitted, "2002": permitted, // a row, seen there, seen there without voice
		"6666": forbidden, "1003": forbidden, // nobody's there, banned
		"2004": undecided, "2005": undecided,
		"1001": permitted, // his own
	} {
		if got := s.post(NewDirectory(testGroups), room, "1001", via); got != want {
			t.Errorf("on the inbox of %s: %d, want %d", via, got, want)
		}
	}
	if got := s.post(NewDirectory(testGroups), room, "6666", "1002"); got != forbidden {
		t.Errorf("a member's inbox makes a stranger's message %d", got)
	}
	out := Outbound{Kind: KindRoom, From: "1001", To: room, Note: Note{Post: &Post{Room: room, Via: "6666"}}}
	if got := s.leaves(&out); got != forbidden {
		t.Errorf("a post that came on a stranger's inbox: %d", got)
	}
}

func (r *Record) lanes() (out []string) {
	for _, l := range r.Deliveries {
		out = append(out, l.Lane)
	}
	return out
}

func TestJudgeAsksWhoMayPost(t *testing.T) {
	rooms := &fakeRooms{rest: StandingNone, by: map[string]Standing{"1009": StandingNone}}
	judgeOf := func(side SideID) *judge {
		j := newJudge(side, newClock().now)
		j.senders = NewSenders(listed(testGroups), rooms)
		return j
	}
	stranger := with(xmppIn(grouped(fields{"from": "1009"})), func(in *Inbound) { in.From = "1009" })
	onTopic := func(topic string) Inbound { return with(mqttIn(grouped(nil)), func(in *Inbound) { in.To = topic }) }
	for _, tt := range []struct {
		name    string
		side    SideID
		in      Inbound
		refused bool
	}{
		{"a stanza of a stranger", XMPP, stranger, true},
		{"a stanza of one with a row", XMPP, xmppIn(grouped(nil)), false},
		{"a backend speaks for a stranger", XMPP, with(stranger, func(in *Inbound) { in.From, in.Trusted = "", true }), true},
		{"a backend speaks for one with a row", XMPP, with(xmppIn(grouped(nil)), func(in *Inbound) { in.From, in.Trusted = "", true }), false},
		{"a direct message of a stranger", XMPP, with(xmppIn(envelope(fields{"from": "1009"})), func(in *Inbound) { in.From = "1009" }), false},
		{"what the room let a stranger say", XMPP, with(stranger, func(in *Inbound) { in.Room = room }), false},
		{"MQTT, a member on a member's inbox", MQTT, onTopic("1002"), false},
		{"MQTT, a member on a stranger's inbox", MQTT, onTopic("6666"), true},
		{"MQTT, a stranger on a member's inbox", MQTT, mqttIn(grouped(fields{"from": "1009"})), true},
		{"MQTT, a direct message on a stranger's inbox", MQTT, with(mqttIn(envelope(fields{"to": nil})), func(in *Inbound) { in.To = "6666" }), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, why := judgeOf(tt.side).record(&tt.in)
			if (why != nil) != tt.refused || why != nil && (why.Reason != NotMember || rec.Reason != NotMember || len(rec.Deliveries) != 1) {
				t.Fatalf("verdict %d, refusal %v, deliveries %v", rec.Verdict, why, rec.Deliveries)
			}
			if why != nil && len(rec.Keys) != 1 {
				t.Error("without its key, the relay's own copy that comes back would be refused")
			}
			for _, l := range rec.Deliveries {
				if l.Note.Post != nil {
					t.Errorf("something is to be asked: %+v", l)
				}
			}
		})
	}
	rooms.rest = StandingUnknown
	rec, why := judgeOf(XMPP).record(&Inbound{Body: grouped(nil), From: "1001"})
	if why != nil || rec.Verdict != VerdictTake || !slices.Equal(rec.lanes(), []string{"1001\x00" + room, "1001\x00" + room, "1001\x00" + room}) {
		t.Fatalf("while the room's state is unknown: %+v, %v", rec, why)
	}
	for _, l := range rec.Deliveries {
		if l.Note.Post == nil || *l.Note.Post != (Post{Room: room}) || l.Behind != "" {
			t.Errorf("delivery %+v", l)
		}
	}
	in := onTopic("6666")
	if rec, why = judgeOf(MQTT).record(&in); why != nil || *rec.Deliveries[0].Note.Post != (Post{Room: room, Via: "6666"}) {
		t.Errorf("by MQTT: %+v, %v", rec, why)
	}
}

// The dispatcher asks before a delivery leaves: forbidden is a dead letter, undecided holds its lane for a short while.
func TestDispatcherAsks(t *testing.T) {
	for _, tt := range []struct {
		standing Standing
		want     string
	}{
		{StandingMember, ""},
		{StandingNone, "close 1.0: not_a_member: " + notMember().Text},
		{StandingUnknown, "hold 1.0: it is not known yet who may post to the group"},
		{StandingOutOfReach, "hold 1.0: it is not known yet who may post to the group"},
		{StandingLost, "close 1.0: gave_up: the group's room could not be reached for a day, so it is not known who may post there"},
	} {
		l, sent := newQueue(), 0
		l.tries = 100000 // an outage of days is no reason to give up
		side := &fakeSide{send: func(context.Context, Outbound) error { sent++; return nil }}
		c := NewDispatcher(l, side, NewSenders(listed(testGroups), &fakeRooms{rest: tt.standing}), newClock().now, zerolog.Nop())
		c.dispatch(t.Context(), Outbound{Ref: Ref{Msg: 1}, Kind: KindRoom, From: "1009", To: room, Note: Note{Post: &Post{Room: room}}})
		if got := strings.Join(l.heard(), "; "); got != tt.want || sent != count(tt.want == "") {
			t.Errorf("standing %d: %q, %d sent; want %q", tt.standing, got, sent, tt.want)
		}
		if strings.HasPrefix(tt.want, "hold") && l.deferred > holdMost {
			t.Errorf("standing %d: held until %v", tt.standing, l.deferred)
		}
		c.dispatch(t.Context(), Outbound{Ref: Ref{Msg: 2}, Kind: KindRoom, From: "1009", To: room}) // was decided when it was taken
		if n := count(tt.want == "") + 1; sent != n {
			t.Errorf("standing %d: what was decided before is asked about again", tt.standing)
		}
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

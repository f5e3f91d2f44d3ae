package bridge

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatrelay/message"
)

// screen keeps the events that it is shown.
type screen struct{ events []Event }

func (s *screen) Ephemeral(e Event) { s.events = append(s.events, e) }

func (s *screen) take() (out []string) {
	for _, e := range s.events {
		out = append(out, fmt.Sprintf("%s %s>%s %s", e.Status, e.From, e.To, e.ID))
	}
	s.events = nil
	return out
}

// What people do is told to devices as far as NOTICES says, and nobody tells more than ten things a second.
func TestEventsOfPeople(t *testing.T) {
	c := newClock()
	typing := message.Event{Status: "typing", From: "1001", To: "2002"}
	read := message.Event{Status: "read", From: "2002", To: "1001", ID: "m"}
	received := message.Event{Status: "received", From: "2002", To: "1001", ID: "m"}
	for name, tt := range map[string]struct {
		wanted Notices
		want   []string
	}{
		"nothing":  {Notices{Sent: true, Delayed: true, Failed: true}, nil},
		"typing":   {Notices{Typing: true}, []string{"typing 1001>2002 "}},
		"read":     {Notices{Read: true}, []string{"read 2002>1001 m"}},
		"received": {Notices{Received: true}, []string{"received 2002>1001 m"}},
	} {
		s := &screen{}
		in := NewIntake(IntakeConfig{Side: XMPP, Journal: &fakeJournal{}, Directory: listed(nil), Notices: tt.wanted, Events: s, Clock: c.now})
		for _, e := range []message.Event{typing, read, received, {Status: "typing", From: "1001", To: "#"}, {Status: "read", From: "+", To: "1001", ID: "m"}} {
			in.Pass(e)
		}
		if diff := cmp.Diff(tt.want, s.take()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	s := &screen{}
	in := NewIntake(IntakeConfig{Side: XMPP, Journal: &fakeJournal{}, Directory: listed(nil), Notices: Notices{Typing: true}, Events: s, Clock: c.now})
	for range 2 {
		for range 30 {
			in.Pass(typing)
		}
		in.Pass(message.Event{Status: "typing", From: "1002", To: "2002"})
		if n := len(s.take()); n != answersPerSecond+1 {
			t.Errorf("%d in a second", n)
		}
		c.add(time.Second)
	}
	var got Event
	in.Pass(typing)
	got, s.events = s.events[0], nil
	if e, ok := message.EventOf(got.Body); !ok || e != typing {
		t.Errorf("as a notice it is %s", got.Body)
	}
	NewIntake(IntakeConfig{Side: XMPP, Journal: &fakeJournal{}, Directory: listed(nil), Notices: Notices{Typing: true}}).Pass(typing) // to nobody
	in = NewIntake(IntakeConfig{Side: XMPP, Journal: &fakeJournal{}, Directory: listed(nil), Notices: Notices{Typing: true, Read: true}, Events: s,
		May: func(from, to string) bool { return from != "1001" || to != "2002" }})
	in.Pass(typing)
	in.Pass(read) // 1001 has read what 2002 wrote
	if got := s.take(); got != nil {
		t.Errorf("who may not talk tells %v", got)
	}
}

// What devices say of messages, and that they type, is passed on; what the wire does not remember never touches the journal.
func TestEventsOfDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j := &screen{}, &fakeJournal{}
		p := run(t, MQTT, j)
		p.events = newEvents(&IntakeConfig{Side: MQTT, Events: s, May: anybody, Clock: time.Now})
		give := func(name, inbox, body string, state ...StateRow) {
			p.give(name, func(in *Inbound) { in.To, in.Body, in.State = inbox, []byte(body), state })
		}
		read := `{"from":"1001","to":"2002","id":"m","status":"read","statusTime":1}`
		give("read", "1001", read)
		give("typing", "1001", `{"from":"2002","to":"1001","status":"typing","statusTime":1}`)
		synctest.Wait()
		if diff := cmp.Diff([]string{"read 1001>2002 m", "typing 2002>1001 "}, s.take()); diff != "" || len(j.sizes()) != 0 || p.Offered() != 0 {
			t.Errorf("%s; %d appends, %d counted", diff, len(j.sizes()), p.Offered())
		}
		give("at QoS 2", "1001", read, StateRow{Key: "row"})
		synctest.Wait()
		if diff := cmp.Diff([]string{"read 1001>2002 m"}, s.take()); diff != "" || len(j.sizes()) != 1 || p.Offered() != 1 {
			t.Errorf("%s; %d appends, %d counted", diff, len(j.sizes()), p.Offered())
		}
		give("on another's inbox", "3003", read)
		give("typing on one's own", "2002", `{"from":"2002","to":"1001","status":"typing","statusTime":1}`)
		give("the relay's own", "1001", `{"from":"1001","to":"2002","id":"m","status":"sent","statusTime":1}`)
		synctest.Wait()
		if got := s.take(); len(got) != 0 || p.Offered() != 4 {
			t.Errorf("%v, %d counted", got, p.Offered())
		}
		for _, name := range []string{"read", "typing", "at QoS 2", "on another's inbox", "typing on one's own", "the relay's own"} {
			if err := p.acks.errOf(t, name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

package bridge

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"chatrelay/message"
)

func TestRoute(t *testing.T) {
	direct := message.Envelope{From: "1001", To: "1002"}
	group := message.Envelope{From: "1001", GroupJID: room}
	toDelivery := func(side SideID, kind Kind, to string) Delivery {
		l := Delivery{Side: side, Kind: kind, To: to, Lane: "1001\x00" + to}
		if kind == KindCopy {
			l.Behind = "1001\x00" + room // never before one that waits
		}
		return l
	}
	tests := []struct {
		name   string
		origin SideID
		heard  string
		env    message.Envelope
		groups Groups
		want   []Delivery
	}{
		{"a stanza to a person goes to the inbox", XMPP, "", direct, testGroups, []Delivery{toDelivery(MQTT, KindInbox, "1002")}},
		{"a stanza to a group goes to each inbox but the sender's, and into the room", XMPP, "", group, testGroups,
			[]Delivery{toDelivery(MQTT, KindCopy, "1002"), toDelivery(MQTT, KindCopy, "1003"), toDelivery(XMPP, KindRoom, room)}},
		{"what was heard in the room does not go back there", XMPP, room, group, testGroups,
			[]Delivery{toDelivery(MQTT, KindCopy, "1002"), toDelivery(MQTT, KindCopy, "1003")}},
		{"a stanza to a group without members goes into the room", XMPP, "", group, Groups{room: nil}, []Delivery{toDelivery(XMPP, KindRoom, room)}},
		{"what was heard where nobody else is goes nowhere", XMPP, room, group, Groups{room: {"1001"}}, []Delivery{}},
		{"a member named twice has one copy", XMPP, room, group, Groups{room: {"1002", "1001", "1002"}}, []Delivery{toDelivery(MQTT, KindCopy, "1002")}},
		{"a message in an inbox goes to its owner's account", MQTT, "", direct, testGroups, []Delivery{toDelivery(XMPP, KindChat, "1002")}},
		{"a group message in an inbox is one stanza into the room", MQTT, "", group, testGroups, []Delivery{toDelivery(XMPP, KindRoom, room)}},
		{"and so it is when the copy names an inbox", MQTT, "", message.Envelope{From: "1001", To: "1003", GroupJID: room}, testGroups,
			[]Delivery{toDelivery(XMPP, KindRoom, room)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Route(tt.origin, tt.heard, &tt.env, NewDirectory(tt.groups))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Whatever comes in: nothing goes back to the side it came from but the room post of a stanza, no sender has a
// copy of their own group message, no destination has two, and order is kept per sender and destination.
func TestRouteAlways(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	landline := func() string { return fmt.Sprint(1000 + r.IntN(6)) }
	for range 20_000 {
		groups := Groups{room: nil}
		for range r.IntN(8) {
			groups[room] = append(groups[room], landline())
		}
		e, heard, origin := message.Envelope{From: landline(), To: landline()}, "", MQTT
		if r.IntN(2) == 0 {
			origin = XMPP
		}
		if r.IntN(2) == 0 {
			e.GroupJID = room
			if origin == XMPP && r.IntN(2) == 0 {
				heard = room
			}
		}
		seen := map[string]bool{}
		for _, l := range Route(origin, heard, &e, NewDirectory(groups)) {
			post := origin == XMPP && e.Group() && heard == "" && l.Kind == KindRoom && l.To == room
			switch {
			case l.Side == origin && !post:
				t.Fatalf("%v %q %+v: back to the side it came from: %+v", origin, heard, e, l)
			case l.Kind == KindCopy && l.To == e.From:
				t.Fatalf("%v %q %+v: the sender has a copy", origin, heard, e)
			case seen[l.To]:
				t.Fatalf("%v %q %+v: twice to %s", origin, heard, e, l.To)
			case l.Lane != e.From+"\x00"+l.To:
				t.Fatalf("%+v: lane %q", e, l.Lane)
			case !l.Kind.IsMessage():
				t.Fatalf("%+v: a delivery that is no message: %+v", e, l)
			}
			seen[l.To] = true
		}
		if origin == XMPP && e.Group() {
			for _, m := range groups[room] {
				if m != e.From && !seen[m] {
					t.Fatalf("%+v: member %s has no copy", e, m)
				}
			}
		}
	}
}

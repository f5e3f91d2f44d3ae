package xmppside

import (
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/message"
	"chatrelay/xmppside/stanza"
)

// What a person's client says of the moment is known from messages.
func TestEventIn(t *testing.T) {
	s := texting(t)
	at := time.UnixMilli(1700000001000)
	byID := s.ids.idWith(bridge.Ref{Msg: 9}, "1001@chat.test", &message.Text{ID: "dev-1-a"})
	byTime := s.ids.idWith(bridge.Ref{Msg: 9}, "1001@chat.test", &message.Text{Time: at})
	nameless := s.ids.idWith(bridge.Ref{Msg: 9}, "1001@chat.test", &message.Text{})
	others := s.ids.idWith(bridge.Ref{Msg: 9}, "1002@chat.test", &message.Text{ID: "dev-1-a"})
	const ask, marker, state = " xmlns='urn:xmpp:receipts'", " xmlns='urn:xmpp:chat-markers:0'", " xmlns='http://jabber.org/protocol/chatstates'"
	read := message.Event{Status: "read", From: "2002", To: "1001", ID: "dev-1-a"}
	received := message.Event{Status: "received", From: "2002", To: "1001", ID: "dev-1-a"}
	for name, c := range map[string]struct {
		attrs, inner string
		want         message.Event // zero: it is none
	}{
		"composing":           {"", "<composing" + state + "/>", message.Event{Status: "typing", From: "1001", To: "2002"}},
		"paused":              {"", "<paused" + state + "/><no-store xmlns='urn:xmpp:hints'/>", message.Event{Status: "paused", From: "1001", To: "2002"}},
		"gone":                {"", "<gone" + state + "/>", message.Event{Status: "paused", From: "1001", To: "2002"}},
		"received":            {"", "<received" + ask + " id='" + byID + "'/>", received},
		"received, marker":    {"", "<received" + marker + " id='" + byID + "'/>", received},
		"displayed":           {"", "<displayed" + marker + " id='" + byID + "'/>", read},
		"named by time":       {"", "<displayed" + marker + " id='" + byTime + "'/>", message.Event{Status: "read", From: "2002", To: "1001", Time: at}},
		"active":              {"", "<active" + state + "/>", message.Event{}},
		"active, and read":    {"", "<active" + state + "/><displayed" + marker + " id='" + byID + "'/>", read},
		"of no name":          {"", "<displayed" + marker + " id='" + nameless + "'/>", message.Event{}},
		"of another's":        {"", "<displayed" + marker + " id='" + others + "'/>", message.Event{}},
		"of any":              {"", "<displayed" + marker + " id='x'/>", message.Event{}},
		"a request":           {"", "<request" + ask + "/>", message.Event{}},
		"with a body":         {"", "<body>x</body><active" + state + "/>", message.Event{}},
		"given back":          {"type='error'", "<composing" + state + "/>", message.Event{}},
		"in a room":           {"type='groupchat'", "<composing" + state + "/>", message.Event{}},
		"to the relay":        {"to='relay.chat.test'", "<composing" + state + "/>", message.Event{}},
		"to nobody":           {"to='no+one@relay.chat.test'", "<composing" + state + "/>", message.Event{}},
		"by a stranger":       {"from='1001@elsewhere.test'", "<composing" + state + "/>", message.Event{}},
		"by an occupant":      {"from='" + roomJID + "/1001'", "<composing" + state + "/>", message.Event{}},
		"a retraction beside": {"", "<composing" + state + "/><retract xmlns='urn:xmpp:message-retract:1' id='old'/>", message.Event{}},
	} {
		attrs := c.attrs
		for name, value := range map[string]string{"from": "1001@chat.test/x", "to": "2002@relay.chat.test", "type": "chat"} {
			if !strings.Contains(attrs, name+"=") {
				attrs += " " + name + "='" + value + "'"
			}
		}
		if got, ok := s.eventOf(parse(t, "<message "+attrs+">"+c.inner+"</message>")); ok != (c.want != message.Event{}) || ok && got != c.want {
			t.Errorf("%s: got %+v, %v", name, got, ok)
		}
	}
}

// What a device says of the moment is what an ordinary client says.
func TestEventOut(t *testing.T) {
	s := texting(t)
	for status, c := range map[string]struct{ from, to, name, space string }{
		"typing":   {"2002@relay.chat.test", "1001@chat.test", "composing", stanza.NSStates},
		"paused":   {"2002@relay.chat.test", "1001@chat.test", "paused", stanza.NSStates},
		"received": {"1001@relay.chat.test", "2002@chat.test", "received", stanza.NSReceipts},
		"read":     {"1001@relay.chat.test", "2002@chat.test", "displayed", stanza.NSMarkers},
	} {
		e := parse(t, string(s.eventStanza(&message.Event{Status: status, From: "2002", To: "1001", ID: "a'b"})))
		kid := e.Child(c.space, c.name)
		if e.Get("from") != c.from || e.Get("to") != c.to || kid == nil || (status == "read" || status == "received") && kid.Get("id") != "a'b" {
			t.Errorf("%s: got %+v", status, e)
		}
	}
	if raw := s.eventStanza(&message.Event{Status: "typing", From: "Upper", To: "1001"}); raw != nil {
		t.Errorf("got %s", raw)
	}
	if raw := s.eventStanza(&message.Event{Status: "read", From: "1001", To: "2002", ID: "\x01"}); raw != nil {
		t.Errorf("got %s", raw)
	}
	if got := wishes(Clients{Rooms: true}); got != "" {
		t.Errorf("asks %s", got)
	}
	s.wishes = wishes(Clients{Received: true, Read: true})
	r, why := s.render(&bridge.Outbound{Ref: bridge.Ref{Msg: 1}, Kind: bridge.KindChat, From: "2002", To: "1001", Body: []byte(`{"from":"2002","to":"1001","content":"x"}`)})
	if why != nil {
		t.Fatal(why)
	}
	if e := parse(t, string(r.raw)); e.Child(stanza.NSReceipts, "request") == nil || e.Child(stanza.NSMarkers, "markable") == nil {
		t.Errorf("got %s", r.raw)
	}
}

package xmppside

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatrelay/bridge"
	"chatrelay/message"
	"chatrelay/xmppside/stanza"
)

// texting is a unit that is a component whose people write texts.
func texting(t *testing.T) *Side {
	t.Helper()
	return unit(t, func(c *Config) {
		c.Component, c.Clients.Texts, c.JID, c.UserDomain, c.Addr, c.TLS = true, true, "relay.chat.test", "chat.test", "localhost:5347", "off"
	})
}

// What a person writes becomes an envelope that says the same.
func TestTextIn(t *testing.T) {
	s := texting(t)
	ours := s.ids.idWith(bridge.Ref{Msg: 9}, "1001@chat.test", &message.Text{ID: "dev-1"})
	for name, c := range map[string]struct {
		inner string
		want  message.Text // but for From, To and Time
	}{
		"plain":                   {"<body>hello &lt;b&gt; 你好</body>", message.Text{ID: "s1", Content: "hello <b> 你好"}},
		"origin-id":               {"<body>x</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>", message.Text{ID: "o1", Content: "x"}},
		"two origin-ids":          {"<body>x</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/><origin-id xmlns='urn:xmpp:sid:0' id='o2'/>", message.Text{ID: "s1", Content: "x"}},
		"nick":                    {"<body>x</body><nick xmlns='http://jabber.org/protocol/nick'>Ann</nick>", message.Text{ID: "s1", Content: "x", Name: "Ann"}},
		"braces":                  {"<body>{x}</body>", message.Text{ID: "s1", Content: "{x}"}},
		"JSON of another":         {"<body>{\"a\":1}</body>", message.Text{ID: "s1", Content: `{"a":1}`}},
		"a file":                  {"<body>https://x.test/a.png</body><x xmlns='jabber:x:oob'><url>https://x.test/a.png</url></x>", message.Text{ID: "s1", Content: "https://x.test/a.png", ContentType: 1}},
		"a link in a text":        {"<body>see https://x.test/a</body><x xmlns='jabber:x:oob'><url>https://x.test/a</url></x>", message.Text{ID: "s1", Content: "see https://x.test/a"}},
		"a file, and no text":     {"<x xmlns='jabber:x:oob'><url>https://x.test/a.png</url></x>", message.Text{ID: "s1", Content: "https://x.test/a.png", ContentType: 1}},
		"no link":                 {"<body>javascript:x</body><x xmlns='jabber:x:oob'><url>javascript:x</url></x>", message.Text{ID: "s1", Content: "javascript:x"}},
		"correction":              {"<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='old'/>", message.Text{ID: "s1", Content: "new", Replaces: "old"}},
		"correction of another's": {"<body>I owe you 1000</body><replace xmlns='urn:xmpp:message-correct:0' id='" + ours + "'/>", message.Text{ID: "s1", Content: "I owe you 1000"}},
		"retraction":              {"<retract xmlns='urn:xmpp:message-retract:1' id='old'/>", message.Text{ID: "s1", Retracts: "old"}},
		"the same, with text":     {"<body>I took back</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/><retract xmlns='urn:xmpp:message-retract:1' id='old'/>", message.Text{ID: "s1", Retracts: "old"}},
		"answer to us": {"<body>&gt; 你好\n&gt; b\nyes</body><reply xmlns='urn:xmpp:reply:0' to='2@relay.chat.test' id='" + ours + "'/>" +
			"<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='9'/></fallback>", message.Text{ID: "s1", Content: "yes", ReplyTo: "dev-1"}},
		"answer to oneself": {"<body>yes</body><reply xmlns='urn:xmpp:reply:0' id='old'/>", message.Text{ID: "s1", Content: "yes", ReplyTo: "old"}},
		"a fallback out of range": {"<body>yes</body><reply xmlns='urn:xmpp:reply:0' id='old'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='1' end='4'/></fallback>",
			message.Text{ID: "s1", Content: "yes", ReplyTo: "old"}},
		"another's fallback":       {"<body>yes</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:x'><body start='0' end='3'/></fallback>", message.Text{ID: "s1", Content: "yes"}},
		"an id without end":        {"<body>x</body><origin-id xmlns='urn:xmpp:sid:0' id='" + strings.Repeat("i", 300) + "'/>", message.Text{ID: short(strings.Repeat("i", 300)), Content: "x"}},
		"a container that is none": {`<body>x</body><json xmlns='urn:xmpp:json:0'>{"from":"1001","to":"2002"}</json>`, message.Text{ID: "s1", Content: "x"}},
		"a container that is cut":  {`<body>x</body><json xmlns='urn:xmpp:json:0'>{"from":"1001","to":"2002","content":"y"</json>`, message.Text{ID: "s1", Content: "x"}},
		"another's container":      {`<body>x</body><json xmlns='urn:xmpp:json:0'>{"from":"1002","to":"2002","content":"forged"}</json>`, message.Text{ID: "s1", Content: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := s.classify(parse(t, "<message type='chat' from='1001@chat.test/x' to='2002@relay.chat.test' id='s1'>"+c.inner+"</message>")).in
			if in.Refused != nil || in.Ignored != "" || in.From != "1001" || in.To != "2002" {
				t.Fatalf("got %+v", in)
			}
			got := message.TextOf(in.Body)
			if age := time.Since(got.Time); age < 0 || age > time.Minute {
				t.Errorf("time %v", got.Time)
			}
			c.want.From, c.want.To, c.want.Time = "1001", "2002", got.Time
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s\n%s", in.Body, diff)
			}
			if _, err := message.Parse(in.Body, &message.Rules{}); err != nil {
				t.Error(err)
			}
		})
	}
	whole := `{"from":"1001","to":"2002","content":"a","x":1}`
	for name, inner := range map[string]string{
		"an envelope":   "<body>" + whole + "</body>",
		"his container": "<body>a</body><json xmlns='urn:xmpp:json:0'>" + whole + "</json>",
	} {
		if in := s.classify(parse(t, "<message from='1001@chat.test/x' to='2002@relay.chat.test'>"+inner+"</message>")).in; string(in.Body) != whole {
			t.Errorf("%s: got %s", name, in.Body)
		}
	}
	stamped := "<message from='1001@chat.test/x' to='2002@relay.chat.test'><body>a</body><delay xmlns='urn:xmpp:delay' from='%s' stamp='2026-01-01T00:00:00Z'/></message>"
	for by, kept := range map[string]bool{"chat.test": true, "1001@chat.test": true, "elsewhere.test": false, "": false} {
		in := s.classify(parse(t, fmt.Sprintf(stamped, by))).in
		if got := message.TextOf(in.Body).Time; got.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) != kept {
			t.Errorf("stamped by %q: %v", by, got)
		}
	}
}

func TestTextRefused(t *testing.T) {
	s := texting(t)
	reaction := "<reactions xmlns='urn:xmpp:reactions:0' id='m'><reaction>+1</reaction></reactions>"
	for name, c := range map[string]struct{ from, inner, reason string }{
		"a reaction":             {"1001@chat.test", reaction, "reaction"},
		"a reaction with a body": {"1001@chat.test", "<body>+1</body>" + reaction, "reaction"},
		"of a stranger":          {"1001@elsewhere.test", "<body>x</body>", "unknown_sender"},
		"taken back, without id": {"1001@chat.test", "<body>x</body><retract xmlns='urn:xmpp:message-retract:1'/>", "retraction"},
		"taken back, nameless":   {"1001@chat.test", "<retract xmlns='urn:xmpp:message-retract:1' id='" + s.ids.id(bridge.Ref{Msg: 9}, "1001@chat.test") + "'/>", "retraction"},
		"taken back, another's":  {"1001@chat.test", "<retract xmlns='urn:xmpp:message-retract:1' id='" + s.ids.idWith(bridge.Ref{Msg: 9}, "1001@chat.test", &message.Text{ID: "dev-1"}) + "'/>", "retraction"},
		"encrypted":              {"1001@chat.test", "<body>x</body><encryption xmlns='" + stanza.NSEncryption + "' namespace='x'/>", "encrypted"},
		"two bodies":             {"1001@chat.test", "<body>x</body><body xml:lang='de'>y</body>", "two_bodies"},
	} {
		in := s.classify(parse(t, "<message xml:lang='zh' id='1' from='"+c.from+"/x' to='2002@relay.chat.test'>"+c.inner+"</message>")).in
		if in.Refused == nil || in.Refused.Reason != c.reason || in.Reply.IsZero() {
			t.Errorf("%s: got %+v", name, in)
		}
	}
	nameless := "<message from='1001@chat.test/x' to='2002@relay.chat.test'><body>ok</body></message>"
	if a, b := s.classify(parse(t, nameless)).in, s.classify(parse(t, nameless)).in; message.TextOf(a.Body).ID == "" || message.TextOf(a.Body).ID == message.TextOf(b.Body).ID {
		t.Errorf("two messages are one: %s and %s", a.Body, b.Body)
	}
	taken := "<message from='1001@chat.test/x' to='2002@relay.chat.test'><reactions xmlns='urn:xmpp:reactions:0' id='m'/></message>"
	if in := s.classify(parse(t, taken)).in; in.Ignored != "no_body" {
		t.Errorf("a reaction that is taken back: got %+v", in)
	}
}

// What a device says is what an ordinary client says, with the envelope beside it.
func TestTextOut(t *testing.T) {
	s := texting(t)
	send := func(n uint64, body string) (*stanza.Element, string) {
		t.Helper()
		r, why := s.render(&bridge.Outbound{Ref: bridge.Ref{Msg: n}, Kind: bridge.KindChat, From: "2002", To: "1001", Body: []byte(body)})
		if why != nil {
			t.Fatal(why)
		}
		e := parse(t, string(r.raw))
		if e.Get("from") != "2002@relay.chat.test" || e.Get("to") != "1001@chat.test" || e.Get("id") != r.id {
			t.Errorf("got %s", r.raw)
		}
		if got, ok := s.ids.ref(r.id, "1001@chat.test"); !ok || got.Msg != n {
			t.Errorf("a bounce of %s is of %v", r.id, got)
		}
		return e, r.id
	}
	first := `{"from":"2002","to":"1001","content":"a <b>\u0007","id":"one"}`
	e, id := send(1, first)
	if e.Child(stanza.NSClient, "body").Text != "a <b>" || e.Child(stanza.NSJSON, "json").Text != first {
		t.Errorf("got %+v", e)
	}
	e, _ = send(2, `{"from":"2002","to":"1001","content":"b","id":"two","replaces":"one"}`)
	if got := e.Child(stanza.NSCorrect, "replace").AttrOr("id"); got != id {
		t.Errorf("it corrects %q, want %q", got, id)
	}
	e, _ = send(3, `{"from":"2002","to":"1001","content":"","id":"three","retracts":"one"}`)
	if got := e.Child(stanza.NSRetract, "retract").AttrOr("id"); got != id || e.Child(stanza.NSFallback, "fallback").AttrOr("for") != stanza.NSRetract {
		t.Errorf("it takes back %q, want %q", got, id)
	}
	e, _ = send(4, `{"from":"2002","to":"1001","content":"c","replyTo":"theirs"}`)
	if got := e.Child(stanza.NSReply, "reply"); got.AttrOr("id") != "theirs" || got.AttrOr("to") != "1001@chat.test" {
		t.Errorf("it answers %+v", got)
	}
	e, _ = send(5, `{"from":"2002","to":"1001","content":"d","replyTo":"one"}`)
	if got := e.Child(stanza.NSReply, "reply"); got.AttrOr("id") != id || got.AttrOr("to") != "2002@relay.chat.test" {
		t.Errorf("it answers %+v", got)
	}
	e, _ = send(6, `{"from":"2002","to":"1001","content":"https://x.test/a.png","contentType":2}`)
	if got := e.Child(stanza.NSOOB, "x").Child(stanza.NSOOB, "url"); got == nil || got.Text != "https://x.test/a.png" {
		t.Errorf("the file is %+v", got)
	}
	e, _ = send(7, `{"from":"2002","to":"1001","content":"e","replaces":"of yesterday"}`)
	if e.Child(stanza.NSCorrect, "replace") != nil || e.Child(stanza.NSClient, "body").Text != "e" {
		t.Error("it corrects what nobody knows")
	}
	e, _ = send(8, `{"from":"2002","to":"1001","content":"`+strings.Repeat("x", mostContainer)+`"}`)
	if e.Child(stanza.NSJSON, "json") != nil || len(e.Child(stanza.NSClient, "body").Text) != mostContainer {
		t.Error("a long one is doubled")
	}
	e, _ = send(9, `{"from":"2002","to":"1001","content":"`+strings.Repeat("&<", mostContainer/4)+`"}`)
	if e.Child(stanza.NSJSON, "json") != nil || len(e.Child(stanza.NSClient, "body").Text) != mostContainer/2 {
		t.Error("one that is long when it is written is doubled")
	}
	if _, why := s.render(&bridge.Outbound{Kind: bridge.KindChat, From: "UP", To: "1001", Body: []byte(first)}); why == nil || why.Reason != "bad_address" {
		t.Errorf("a sender with capitals: %v", why)
	}
}

// The newest are known; memory has an end.
func TestSentIDs(t *testing.T) {
	var s sentIDs
	for i := range mostSentIDs + 5 {
		s.add("a", "b", fmt.Sprint(i), fmt.Sprint("id-", i))
	}
	s.add("a", "b", "7", "again")
	for name, want := range map[string]string{"4": "", "5": "id-5", "7": "again", fmt.Sprint(mostSentIDs + 4): fmt.Sprint("id-", mostSentIDs+4), "": ""} {
		if got := s.find("a", "b", name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if s.find("b", "a", "7") != "" || len(s.ids) != mostSentIDs || len(s.oldest) != mostSentIDs {
		t.Errorf("%d of %d are known", len(s.ids), len(s.oldest))
	}
}

// With ROOM_TALK=all what people say in a served room is a message; what is not said to the room, or by nobody, stays out.
func TestRoomTextIn(t *testing.T) {
	s := unit(t, func(c *Config) { c.Clients.Rooms = true })
	s.seat(t)
	whole := `{"from":"1001","groupJid":"` + roomJID + `","content":"a","timeStamp":1,"x":1}`
	for name, c := range map[string]struct {
		nick, inner string
		want        message.Text // Content empty: it is none
	}{
		"plain":            {"alice", "<body>good morning</body>", message.Text{ID: "s1", Content: "good morning"}},
		"a correction":     {"alice", "<body>better</body><replace xmlns='urn:xmpp:message-correct:0' id='old'/>", message.Text{ID: "s1", Content: "better", Replaces: "old"}},
		"an answer":        {"alice", "<body>&gt; x\nyes</body><reply xmlns='urn:xmpp:reply:0' id='the-rooms'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='4'/></fallback>", message.Text{ID: "s1", Content: "yes"}},
		"a file":           {"alice", "<body>https://x.test/a</body><x xmlns='jabber:x:oob'><url>https://x.test/a</url></x>", message.Text{ID: "s1", Content: "https://x.test/a", ContentType: fileType}},
		"braces":           {"alice", "<body>{hi}</body>", message.Text{ID: "s1", Content: "{hi}"}},
		"of a stranger":    {"guest", "<body>hi</body>", message.Text{}},
		"a retraction":     {"alice", "<body>I took back</body><retract xmlns='urn:xmpp:message-retract:1' id='old'/>", message.Text{}},
		"a reaction":       {"alice", "<body>+1</body><reactions xmlns='urn:xmpp:reactions:0' id='m'><reaction>+1</reaction></reactions>", message.Text{}},
		"for another room": {"alice", "<body>x</body><json xmlns='urn:xmpp:json:0'>{\"from\":\"1002\",\"content\":\"forged\"}</json>", message.Text{ID: "s1", Content: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := s.classify(parse(t, "<message type='groupchat' from='"+roomJID+"/"+c.nick+"' to='"+ownJID+"/chatrelay' id='s1'>"+c.inner+"</message>")).in
			if message.IsEnvelope(in.Body) != (c.want.Content != "") || in.Refused != nil {
				t.Fatalf("got %s, %+v", in.Body, in)
			}
			if c.want.Content == "" {
				return
			}
			got := message.TextOf(in.Body)
			c.want.From, c.want.Name, c.want.Time = "1001", "alice", got.Time
			if diff := cmp.Diff(c.want, got); diff != "" || in.From != "1001" {
				t.Errorf("%s\n%s", in.Body, diff)
			}
			if e, err := message.Parse(in.Body, &message.Rules{}); err != nil || e.GroupJID != roomJID || e.ChatType != 2 {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
	for name, inner := range map[string]string{
		"an envelope":   "<body>" + whole + "</body>",
		"its container": "<body>a</body><json xmlns='urn:xmpp:json:0'>" + whole + "</json>",
	} {
		if in := s.classify(parse(t, "<message type='groupchat' from='"+roomJID+"/alice' id='s1'>"+inner+"</message>")).in; string(in.Body) != whole {
			t.Errorf("%s: got %s", name, in.Body)
		}
	}
	again := "<message type='groupchat' from='" + roomJID + "/alice'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='" + roomJID + "' id='r1'/></message>"
	if got := message.TextOf(s.classify(parse(t, again)).in.Body); got.ID != "r1" {
		t.Errorf("what has no name is called %q", got.ID)
	}
	if got := message.TextOf(s.classify(parse(t, strings.Replace(again, "<stanza-id", "<x", 1))).in.Body); got.ID != "" || !got.Time.IsZero() {
		t.Errorf("what nobody names gets %+v", got)
	}
	off := seated(t)
	if in := off.classify(parse(t, "<message type='groupchat' from='"+roomJID+"/alice' id='s1'><body>hi</body></message>")).in; string(in.Body) != "hi" {
		t.Errorf("without ROOM_TALK=all: got %s", in.Body)
	}
}

// What a device says in a room is a text with its name, and its envelope beside it.
func TestRoomTextOut(t *testing.T) {
	s := unit(t, func(c *Config) {
		c.Component, c.Clients.Texts, c.JID, c.UserDomain, c.Addr, c.TLS = true, true, "relay.chat.test", "chat.test", "localhost:5347", "off"
	})
	send := func(body string) *stanza.Element {
		t.Helper()
		r, why := s.render(&bridge.Outbound{Ref: bridge.Ref{Msg: 3}, Kind: bridge.KindRoom, From: "2002", To: roomJID, Body: []byte(body)})
		if why != nil {
			t.Fatal(why)
		}
		e := parse(t, string(r.raw))
		if e.Get("from") != "relay.chat.test/chatrelay" || e.Get("to") != roomJID || e.Get("type") != "groupchat" || !s.sentTo(e.Get("id"), roomJID) || r.id != e.Get("id") {
			t.Errorf("got %s", r.raw)
		}
		return e
	}
	body := `{"from":"2002","groupJid":"` + roomJID + `","content":"a <b>\u0007","name":"Ann"}`
	if e := send(body); e.Child(stanza.NSClient, "body").Text != "Ann: a <b>" || e.Child(stanza.NSJSON, "json").Text != body {
		t.Errorf("got %+v", e)
	}
	if e := send(`{"from":"2002","content":"","retracts":"x"}`); e.Child(stanza.NSClient, "body").Text != "Ann: "+retractedText {
		t.Errorf("got %+v", e)
	}
	if e := send(`{"from":"2002","content":"` + strings.Repeat("x", mostContainer) + `"}`); e.Child(stanza.NSJSON, "json") != nil {
		t.Error("a long one is doubled")
	}
	first := send(`{"from":"2002","content":"new","id":"1"}`).Get("id")
	if e := send(`{"from":"2002","content":"newer","replaces":"1"}`); e.Child(stanza.NSCorrect, "replace").Get("id") != first {
		t.Errorf("got %+v", e)
	}
	r, why := s.render(&bridge.Outbound{Ref: bridge.Ref{Msg: 4}, Kind: bridge.KindRoom, From: "2003", To: roomJID, Body: []byte(`{"from":"2003","content":"other","replaces":"1"}`)})
	if why != nil || parse(t, string(r.raw)).Child(stanza.NSCorrect, "replace") != nil {
		t.Errorf("%v: it takes another one's message away: %s", why, r.raw)
	}
}

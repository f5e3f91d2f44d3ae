package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/stage"
)

// soonAfter is how soon after a bad message the next good one must be there.
const soonAfter = time.Second

// bad is a body that must be refused. FROM stands for its sender.
type bad struct{ name, body string }

// badAnywhere is no envelope on either wire (DESIGN 2).
var badAnywhere = []bad{
	{"text", "hello"},
	{"an array", `[1]`},
	{"null", `null`},
	{"cut off", `{"content":"x"`},
	{"two values", good(``) + `{}`},
	{"no from", `{"chatType":1,"content":"x","to":"TO","timeStamp":1}`},
	{"From for from", `{"chatType":1,"content":"x","From":"FROM","to":"TO","timeStamp":1}`},
	{"from twice", good(`,"from":"FROM"`)},
	{"content twice", good(`,"content":"y"`)},
	{"lone surrogate", good(`,"name":"\ud800"`)},
	{"too deep", good(`,"x":` + strings.Repeat("[", 33) + strings.Repeat("]", 33))},
	{"content a number", `{"chatType":1,"content":5,"from":"FROM","to":"TO","timeStamp":1}`},
	{"no content", `{"chatType":1,"from":"FROM","to":"TO","timeStamp":1}`},
	{"chatType a text", `{"chatType":"1","content":"x","from":"FROM","to":"TO","timeStamp":1}`},
	{"chatType a fraction", `{"chatType":1.5,"content":"x","from":"FROM","to":"TO","timeStamp":1}`},
	{"contentType a text", good(`,"contentType":"0"`)},
	{"timeStamp a word", `{"chatType":1,"content":"x","from":"FROM","to":"TO","timeStamp":"now"}`},
	{"timeStamp too big", `{"chatType":1,"content":"x","from":"FROM","to":"TO","timeStamp":9223372036854775808}`},
	{"groupJid a number", good(`,"groupJid":5`)},
	{"group without room", `{"chatType":2,"content":"x","from":"FROM","to":"TO","timeStamp":1}`},
	{"room not served", good(`,"groupJid":"other@conference.chat.test"`)},
	{"from the relay", `{"chatType":1,"content":"x","from":"receiver","to":"TO","timeStamp":1}`},
	{"from with a fraction", `{"chatType":1,"content":"x","from":1001.0,"to":"TO","timeStamp":1}`},
	{"oversize", good(`,"x":"` + strings.Repeat("x", 200<<10) + `"`)},
}

func good(more string) string {
	return `{"chatType":1,"content":"x","from":"FROM","to":"TO","timeStamp":1` + more + `}`
}

// badTo is no landline: as a topic it would be a wildcard, another's inbox or the end of the connection.
var badTo = []string{"", "+", "#", "1002/#", "a/b", "$SYS", `1002\u0000`, "1002 ", " 1002", "-1", "..", "1002@chat.test",
	"\uff11\uff10\uff10\uff12", strings.Repeat("1", 65), "receiver", "des\u212a"}

func TestBadStanzas(t *testing.T) {
	for _, x := range stage.XMPPServers() {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			c := newForgivingChat(t, stage.Plan{Start: x.Start}, func(e event) bool {
				return e.st.Type == "error" && e.st.ID == "w" // a server may refuse a wrapped stanza itself
			})
			cases := append([]bad{{"from another", `{"chatType":1,"content":"x","from":"TO","to":"TO","timeStamp":1}`}}, badAnywhere...)
			for _, to := range badTo {
				cases = append(cases, bad{fmt.Sprintf("to %.10q", to), `{"chatType":1,"content":"x","from":"FROM","to":"` + to + `","timeStamp":1}`})
			}
			people := stage.Landlines()
			for i, b := range cases {
				from, to := people[i%4], people[(i+1)%4] // in turn: answers are limited per sender
				body := strings.NewReplacer("FROM", from, "TO", to).Replace(b.body)
				t.Run(b.name, func(t *testing.T) {
					c.refusedStanza(t, from, to, "<body>"+clients.Escape(body)+"</body>", "")
				})
			}
			forged := "<body>" + clients.Escape(stage.Direct("1002", "1003", "forged").String()) + "</body>"
			t.Run("two bodies", func(t *testing.T) {
				c.refusedStanza(t, "1001", "1003", forged+forged, "")
			})
			t.Run("x:from", func(t *testing.T) { // Prosody lets such attributes through
				c.refusedStanza(t, "1001", "1003", forged, " xmlns:x='urn:x' x:from='1002@chat.test/v' x:type='error' x:id='9'")
			})
			t.Run("wrapped", c.wrapped)
			t.Run("plain text", c.plainText)
			c.end(t)
		})
	}
}

// plainText: who writes to the relay as to a person is told in one sentence what to do, in his language.
func (c *chat) plainText(t *testing.T) {
	for _, x := range []struct{ attrs, body, want string }{
		{"", "hello, is anybody there?", "Nobody has got your message, as this account does not read plain text: use the app"},
		{" xml:lang='zh-CN'", "hello?", "您的消息没有送达任何人"},
		{" xml:lang='en'", "你好，有人吗？", "您的消息没有送达任何人"},
	} {
		before := c.Relay.Status()
		raw := fmt.Sprintf("<message to='%s' type='chat' id='text'%s><body>%s</body></message>", c.Receiver(), x.attrs, x.body)
		if err := c.Person("1003").X.Raw(raw); err != nil {
			t.Fatal(err)
		}
		got := c.h.want(t, "an answer", stage.WaitLimit, func(e event) bool {
			return e.side == "xmpp" && e.inbox == "1003" && e.st.Type == "error" && e.st.ID == "text"
		}).st
		if got.Condition != "not-acceptable" || !strings.HasPrefix(got.Text, x.want) || strings.Contains(got.Text, "valid JSON") {
			t.Errorf("error %q with text %q", got.Condition, got.Text)
		}
		c.Relay.WantRefused(t, before)
	}
}

// refusedStanza sends a stanza that must be refused, wants the error and the count, and a good message right after.
func (c *chat) refusedStanza(t *testing.T, from, to, inner, attrs string) {
	t.Helper()
	before := c.Relay.Status()
	raw := fmt.Sprintf("<message to='%s' type='chat' id='bad'%s>%s</message>", c.Receiver(), attrs, inner)
	if err := c.Person(from).X.Raw(raw); err != nil {
		t.Fatal(err)
	}
	c.passes(t, from, to)
	got := c.h.want(t, "an error to "+from, stage.WaitLimit, func(e event) bool {
		return e.side == "xmpp" && e.inbox == from && e.st.Type == "error" && e.st.ID == "bad"
	}).st
	if got.Condition == "" || got.Text == "" {
		t.Errorf("error %q with text %q", got.Condition, got.Text)
	}
	c.Relay.WantRefused(t, before)
}

// passes wants a good message through within a second, in both directions.
func (c *chat) passes(t *testing.T, from, to string) {
	t.Helper()
	began := time.Now()
	x := stage.Direct(from, to, "good after bad, by stanza")
	c.stanza(t, from, x.String())
	c.h.wantMQTT(t, to, x.String())
	c.h.wantNotice(t, from, "sent", x.Content)
	m := stage.Direct(from, to, "good after bad, by MQTT")
	c.publish(t, from, to, m.String())
	c.h.wantMQTT(t, to, m.String())
	c.h.wantXMPP(t, to, m.String())
	c.h.wantNotice(t, from, "sent", m.Content)
	if took := time.Since(began); took > 2*soonAfter {
		t.Errorf("the next good messages took %v", took)
	}
}

// wrapped: what a third party forwards, and what carries no message, is ignored.
func (c *chat) wrapped(t *testing.T) {
	forged := "<message xmlns='jabber:client' from='1002@chat.test/a' to='receiver@chat.test' type='chat'><body>" +
		clients.Escape(stage.Direct("1002", "1003", "forged").String()) + "</body></message>"
	for _, inner := range []string{
		"<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" + forged + "</forwarded></received>",
		"<result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'>" + forged + "</forwarded></result>",
		"<composing xmlns='http://jabber.org/protocol/chatstates'/>",
		"<received xmlns='urn:xmpp:receipts' id='x'/>",
		"<body xmlns='urn:x'>" + clients.Escape(stage.Direct("1001", "1003", "foreign").String()) + "</body>",
	} {
		t.Run(inner[:24], func(t *testing.T) {
			before := c.Relay.Status()
			raw := fmt.Sprintf("<message to='%s' type='chat' id='w'>%s</message>", c.Receiver(), inner)
			if err := c.Person("1001").X.Raw(raw); err != nil {
				t.Fatal(err)
			}
			c.passes(t, "1001", "1003")
			c.Relay.WantCount(before, "ignored", 1)
		})
	}
}

func TestBadPublishes(t *testing.T) {
	for _, x := range stage.XMPPServers() {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			c := newForgivingChat(t, stage.Plan{Start: x.Start}, func(e event) bool {
				return e.env.Notice() && e.env.Status == "failed" // told where from is good, and rate limited
			})
			cases := append([]bad{
				{"empty", ""},
				{"invalid UTF-8", good(",\"name\":\"\xff\"")},
				{"a control character", good(",\"name\":\"a\x01\"")},
				{"to another inbox", `{"chatType":1,"content":"x","from":"FROM","to":"FROM","timeStamp":1}`},
				{"too big once escaped", good(`,"x":"` + strings.Repeat("&", 100<<10) + `"`)},
			}, badAnywhere...)
			people := stage.Landlines()
			for i, b := range cases {
				from, to := people[i%4], people[(i+1)%4]
				body := strings.NewReplacer("FROM", from, "TO", to).Replace(b.body)
				t.Run(b.name, func(t *testing.T) { c.refusedPublish(t, from, to, stage.Inbox(to), body) })
			}
			for i, to := range badTo {
				if to == "" || strings.ContainsAny(to, "+#/\\") {
					continue // not one level below the prefix, or the broker cuts the publisher off: see "topics"
				}
				body := stage.Direct(people[i%4], "", "x").String()
				t.Run(fmt.Sprintf("inbox %.10q", to), func(t *testing.T) {
					c.refusedPublish(t, people[i%4], people[(i+1)%4], stage.Inbox(to), body)
				})
			}
			t.Run("told", func(t *testing.T) {
				e := stage.Direct("1004", "1001", "wrong inbox")
				c.refusedPublish(t, "1004", "1002", stage.Inbox("1002"), e.String())
				if got := c.h.wantNotice(t, "1004", "failed", e.Content); got.Reason == "" {
					t.Error("a failed notice without a reason")
				}
			})
			t.Run("topics", c.topics)
			t.Run("retained", c.retained)
			c.end(t)
		})
	}
}

// refusedPublish publishes what must be refused or buried, and wants the count and a good message right after.
func (c *chat) refusedPublish(t *testing.T, from, to, topic, body string) {
	t.Helper()
	before := c.Relay.Status()
	ctx, cancel := context.WithTimeout(t.Context(), stage.WaitLimit)
	defer cancel()
	if err := c.Person(from).M.Publish(ctx, topic, []byte(body), 2); err != nil {
		t.Fatal(err)
	}
	c.passes(t, from, to)
	c.Relay.WantRefused(t, before)
	c.h.take(func(e event) bool { return e.inbox == to && e.body == body }) // the broker's own delivery
}

// topics that the broker cuts a publisher off for never reach the relay, and topics that are no inbox are
// nobody's.
func (c *chat) topics(t *testing.T) {
	for _, topic := range []string{stage.Inbox("+"), stage.Inbox("#"), stage.Inbox("a\x00b"), stage.Inbox("1002/x"), stage.Prefix, stage.Prefix + "/"} {
		t.Run(fmt.Sprintf("%q", topic), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), stage.WaitLimit)
			defer cancel()
			stray, err := clients.DialMQTT(ctx, clients.MQTTConfig{Addr: c.MQTT.Addr, ClientID: "stray"})
			if err != nil {
				t.Fatal(err)
			}
			defer stray.Close()
			if err := stray.Publish(ctx, topic, []byte(stage.Direct("1001", "", "x").String()), 0); err != nil {
				t.Fatal(err)
			}
			c.passes(t, "1001", "1002")
		})
	}
}

// retained: by MQTT 5 a live one is like any other, and the stored copy is never asked for. (By 3.1.1 it is refused where the
// mark is left on: mqttside has that.)
func (c *chat) retained(t *testing.T) {
	e := stage.Direct("1001", "1002", "retained")
	ctx, cancel := context.WithTimeout(t.Context(), stage.WaitLimit)
	defer cancel()
	if err := c.Person("1001").M.Retain(ctx, stage.Inbox("1002"), []byte(e.String())); err != nil {
		t.Fatal(err)
	}
	c.h.wantMQTT(t, "1002", e.String())
	c.h.wantXMPP(t, "1002", e.String())
	c.h.wantNotice(t, "1001", "sent", e.Content)
	c.passes(t, "1001", "1002")
}

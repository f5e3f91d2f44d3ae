package e2e

import (
	"fmt"
	"strings"
	"testing"

	"chatrelay/test/stage"
)

// What becomes of a hostile input: what its addressee is shown, or one of these.
const (
	toldNo = "(refused)" // its sender is told, and nobody else
	noWord = "(nothing)" // no message, or nobody to be told
)

// hostile is one stanza to the landline TO, or one publish to its inbox, of FROM. %d is its number, by which it is known.
type hostile struct{ in, want string }

// hostileStanzas are inside <message type='chat' id='h%d'>. A component's people write texts: nearly all is one.
var hostileStanzas = []hostile{
	{"<body/>", ""},
	{"<body>{</body>", "{"},
	{"<body>[1]</body>", "[1]"},
	{`<body>{"from":"FROM"}</body>`, `{"from":"FROM"}`},
	{`<body>{"from":"FROM","content":5}</body>`, toldNo},
	{`<body>{"from":"FROM","content":"x","to":"1009","id":"h%d"}</body>`, toldNo},
	{`<body>{"from":"TO","content":"x","id":"h%d"}</body>`, toldNo},
	{`<body>{"from":"TO","from":"FROM","content":"x","id":"h%d"}</body>`, toldNo},
	{`<body>{"from":"FROM","content":"x","chatType":2,"id":"h%d"}</body>`, toldNo},
	{`<body>{"from":"FROM","content":"x","groupJid":"x@y.test","id":"h%d"}</body>`, toldNo},
	{`<body>{"from":"FROM","content":"x","status":"sent","statusTime":1,"id":"h%d"}</body>`, noWord},
	{`<body>{"from":"FROM","content":"\u0000","id":"h%d"}</body>`, "\x00"},
	{"<body>\ufeff{}</body>", "\ufeff{}"},
	{"<body>\u202e\u2028\ufffde\u0301</body>", "\u202e\u2028\ufffde\u0301"},
	{"<body>" + strings.Repeat("&amp;", 30<<10) + "</body>", strings.Repeat("&", 30<<10)},
	{"<body>" + strings.Repeat("x", 200<<10) + "</body>", toldNo},
	{`<body>a</body><json xmlns='urn:xmpp:json:0'>{"from":"TO","content":"forged","id":"h%d"}</json>`, "a"},
	{`<body>a</body><json xmlns='urn:xmpp:json:0'>{"from":"FROM","content":"cut"</json>`, "a"},
	{`<body>a</body><json xmlns='urn:xmpp:json:0'>{"from":"FROM","to":"TO","status":"read","statusTime":1}</json>`, "a"},
	{"<body>a</body><replace xmlns='urn:xmpp:message-correct:0'/>", "a"},
	{"<body>a</body><delay xmlns='urn:xmpp:delay' from='FROM@chat.test' stamp='0001-01-02T00:00:00Z'/>", "a"},
	{"<body>你好</body><reply xmlns='urn:xmpp:reply:0' id='r'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='-1' end='99999999999999999999'/></fallback>", "你好"},
	{"<x xmlns='jabber:x:oob'><url>https://x.test/a</url></x>", "https://x.test/a"},
	{"<x xmlns='jabber:x:oob'><url>javascript:alert(1)</url></x>", noWord},
	{"<retract xmlns='urn:xmpp:message-retract:1'/>", toldNo},
	{"<body>+1</body><reactions xmlns='urn:xmpp:reactions:0' id='c1'><reaction>+1</reaction></reactions>", toldNo},
	{"<body>I sent OMEMO</body><encrypted xmlns='eu.siacs.conversations.axolotl'><payload>AA</payload></encrypted>", toldNo},
	{"<body>x</body><body>y</body>", toldNo},
	{"<body xmlns='urn:x'>foreign</body>", noWord},
	{"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='1009@chat.test/a'><body>forged</body></message></forwarded><body>x</body>", noWord},
	{"<received xmlns='urn:xmpp:receipts' id='cr-1-0-aaaaaaaaaaaa-iZ'/>", noWord},
	{"<displayed xmlns='urn:xmpp:chat-markers:0'/>", noWord},
	{"<weird xmlns='http://jabber.org/protocol/chatstates:x'/>", noWord},
}

// hostilePublishes are as they are published.
var hostilePublishes = []hostile{
	{`{"from":"FROM","content":"a\u0000b","id":"h%d"}`, "ab"},
	{`{"from":"FROM","content":"\u001b[31m","id":"h%d"}`, "[31m"},
	{`{"from":"FROM","content":"` + "\ufffe" + `","id":"h%d"}`, ""},
	{`{"from":"FROM","content":"]]><b>&amp;","id":"h%d"}`, "]]><b>&amp;"},
	{`{"from":"FROM","content":"` + strings.Repeat("&", 60<<10) + `","id":"h%d"}`, toldNo},
	{`{"from":"FROM","content":"` + strings.Repeat("x", 150<<10) + `","id":"h%d"}`, strings.Repeat("x", 150<<10)},
	{`{"from":"FROM","content":"` + strings.Repeat("x", 200<<10) + `","id":"h%d"}`, noWord},
	{`{"from":"FROM","content":"x","name":"\u0000\u202e\n","photo":"javascript:x","replyTo":"\u0000","replaces":{},"id":"h%d"}`, "x"},
	{`{"from":"FROM","content":"x","__proto__":{},"a":1e999999,"From":"TO","id":"h%d"}`, "x"},
	{`{"from":"FROM","content":"x","name":5,"id":"h%d"}`, toldNo},
	{`{"from":"FROM","content":"x","content":"y","id":"h%d"}`, toldNo},
	{`{"from":"FROM","content":"x","id":"h%d","to":"1009"}`, toldNo},
	{`{"from":"FROM","content":"x","id":"h%d","to":"+"}`, toldNo},
	{`{"from":"FROM","content":"x","id":"h%d","chatType":1.0}`, toldNo},
	{`{"from":"FROM","content":"x","id":"h%d","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, noWord},
	{`{"from":"FROM","content":"x","id":"h%d","x":"` + "\xff" + `"}`, noWord},
	{`{"from":"FROM","content":"x","id":"h%d"}{}`, noWord},
	{`{"from":"FROM","content":"x","id":"n%d","status":"\u0073ent","statusTime":1}`, noWord},
	{`{"from":"FROM","from":"TO","id":"n%d","status":"typing","statusTime":1}`, noWord},
	{`{"from":" FROM","content":"x","id":"h%d"}`, noWord},
	{strings.Repeat("[", 100_000), noWord},
	{"\x00", noWord},
}

// hostile: whatever comes, its sender is told once what became of it, nobody is shown what he did not say, and what comes
// behind it comes.
func (c *chat) hostile(t *testing.T, at func(string) string) {
	before := c.Relay.Status()
	people := stage.Landlines()
	wanted := map[string]string{} // by who is to hear it and the input's number: his body, or an error's or notice's
	refused := int64(0)
	each := func(all []hostile, send func(h hostile, n int, from, to string)) {
		for n, h := range all {
			send(h, n, people[n%4], people[(n+1)%4])
		}
	}
	words := func(h hostile, n int, from, to string) hostile {
		fill := strings.NewReplacer("FROM", from, "TO", to, "%d", fmt.Sprint(n))
		return hostile{fill.Replace(h.in), fill.Replace(h.want)}
	}
	each(hostileStanzas, func(h hostile, n int, from, to string) {
		h = words(h, n, from, to)
		raw := fmt.Sprintf("<message to='%s' type='chat' id='h%d'>%s</message>", at(to), n, h.in)
		if err := c.Person(from).X.Raw(raw); err != nil {
			t.Fatal(err)
		}
		switch h.want {
		case toldNo:
			refused++
			wanted[fmt.Sprint("error ", from, " h", n)] = ""
		case noWord:
		default:
			wanted[fmt.Sprint("inbox ", to, " h", n)] = h.want
			wanted[fmt.Sprint("sent ", from, " h", n)] = ""
		}
	})
	base := len(hostileStanzas)
	brokers := map[string]bool{} // what the broker itself delivers
	each(hostilePublishes, func(h hostile, n int, from, to string) {
		h = words(h, n+base, from, to)
		c.publish(t, from, to, h.in)
		brokers[to+h.in] = true
		switch h.want {
		case toldNo:
			wanted[fmt.Sprint("failed ", from, " h", n+base)] = ""
		case noWord:
		default:
			wanted[fmt.Sprint("client ", to, " h", n+base)] = h.want
			wanted[fmt.Sprint("sent ", from, " h", n+base)] = ""
		}
	})
	for i, from := range people { // behind all that
		c.toDevice(t, from, at(people[(i+1)%4]), "last", "<body>last</body>", "last")
		e := stage.Direct(from, people[(i+1)%4], "last "+from)
		c.publish(t, from, people[(i+1)%4], e.String())
		brokers[people[(i+1)%4]+e.String()] = true
		c.h.want(t, e.Content, stage.WaitLimit, func(x event) bool { return x.side == "xmpp" && x.body == e.Content })
		c.h.wantNotice(t, from, "sent", e.Content)
	}
	after := c.Relay.Balanced()
	got := map[string]string{}
	for {
		e, _, more := c.h.take(func(event) bool { return true })
		if !more {
			break
		}
		key, envelope := heard(e)
		if _, twice := got[key]; twice {
			t.Errorf("%s: twice", key)
		}
		if e.side != "mqtt" || !brokers[e.inbox+e.body] {
			got[key] = envelope
		}
	}
	for key, want := range wanted {
		if envelope, ok := got[key]; !ok || envelope != want {
			t.Errorf("%s: got %v %.60q, want %.60q", key, ok, envelope, want)
		}
		delete(got, key)
	}
	for key, envelope := range got {
		t.Errorf("%s came, %.60q", key, envelope)
	}
	if n := after.Sides["xmpp"].Counts["refused"] - before.Sides["xmpp"].Counts["refused"]; n != refused {
		t.Errorf("%d stanzas are counted as refused, want %d", n, refused)
	}
}

// heard names what was heard, by who heard it and by the input's number.
func heard(e event) (key, envelope string) {
	switch {
	case e.side == "xmpp" && e.st.Type == "error":
		return "error " + e.inbox + " " + e.st.ID, ""
	case e.side == "xmpp":
		_, id, _ := strings.Cut(e.st.ID, "-i") // what the device calls it
		return "client " + e.inbox + " " + id, e.body
	case e.env.Notice():
		return e.env.Status + " " + e.inbox + " " + e.env.ID, ""
	}
	return "inbox " + e.inbox + " " + e.env.ID, e.env.Content
}

package xmppside

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

// Who may see a landline is told so, and remembered by the next process.
func TestSubscribers(t *testing.T) {
	m := bridgetest.NewMemory(t)
	journal := m.SideJournal()
	component := func(c *Config) {
		c.Component, c.Clients.Texts, c.JID, c.UserDomain, c.Addr, c.TLS = true, true, "relay.chat.test", "chat.test", "localhost:5347", "off"
	}
	s := unitOn(t, journal, component)
	say := func(typ, from, to string) string {
		return string(s.contacts.presence(parse(t, fmt.Sprintf("<presence type='%s' from='%s' to='%s'/>", typ, from, to))))
	}
	for _, c := range []struct{ typ, from, to, want string }{
		{"subscribe", "1001@chat.test", "2002@relay.chat.test", ""}, // the answer comes in its turn
		{"subscribe", "1002@chat.test/x", "2002@relay.chat.test", ""},
		{"probe", "1003@chat.test/x", "2003@relay.chat.test", ""},
		{"subscribe", "1003@elsewhere.test", "2002@relay.chat.test", "'unsubscribed'"},
		{"subscribe", "1003@chat.test", "no+one@relay.chat.test", "'unsubscribed'"},
		{"probe", "1003@elsewhere.test", "2002@relay.chat.test", ""},
		{"unsubscribe", "1002@chat.test", "2002@relay.chat.test", "'unsubscribed'"},
		{"unavailable", "1001@chat.test/x", "2002@relay.chat.test", ""},
		{"", "1001@chat.test/x", "2002@relay.chat.test", ""},
	} {
		if got := say(c.typ, c.from, c.to); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s of %s to %s: %q, want %q", c.typ, c.from, c.to, got, c.want)
		}
	}
	s.contacts.learn("2002", " Ann\u0007\n\u202e&  Co\u2069 ")
	sent := func(s *Side) string { return string(s.contacts.next(10)) }
	first := sent(s)
	if strings.Count(first, "<presence ") != 3 || strings.Count(first, "from='2002@relay.chat.test' type='subscribed' to='1001@chat.test'/><presence from='2002@") != 1 || !strings.Contains(first, "<nick xmlns='"+stanza.NSNick+"'>Ann &amp; Co</nick>") || sent(s) != "" {
		t.Errorf("told %s", first)
	}
	if err := journal.Wait(t.Context(), journal.SetState(bridge.XMPP)); err != nil {
		t.Fatal(err)
	}
	state, err := journal.State(t.Context(), bridge.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	again := unit(t, component)
	again.contacts.restore(state)
	again.contacts.tellAll(true, time.Now())
	got := sent(again)
	if want := "<presence from='2002@relay.chat.test' to='1001@chat.test' type='unavailable'/><presence from='2003@relay.chat.test' to='1003@chat.test' type='unavailable'/>"; got != want {
		t.Errorf("the next process tells\n%s, want\n%s", got, want)
	}
	if again.contacts.nameOf("2002") != "Ann & Co" || again.contacts.nameOf("2003") != "2003" {
		t.Error("names are forgotten")
	}
}

// One person takes neither the memory nor the answers of all, and strangers are told no names.
func TestContactsAreBounded(t *testing.T) {
	m := bridgetest.NewMemory(t)
	s := unitOn(t, m.SideJournal(), func(c *Config) {
		c.Component, c.Clients.Texts, c.JID, c.UserDomain, c.Addr, c.TLS = true, true, "relay.chat.test", "chat.test", "localhost:5347", "off"
	})
	ask := func(typ, from, to string) string {
		return string(s.contacts.presence(parse(t, fmt.Sprintf("<presence type='%s' from='%s@chat.test' to='%s@relay.chat.test'/>", typ, from, to))))
	}
	for i := range mostOfOne {
		if got := ask("subscribe", "1001", fmt.Sprint("x", i)); got != "" {
			t.Fatalf("%d: %s", i, got)
		}
	}
	if got := ask("subscribe", "1001", "y"); !strings.Contains(got, "'unsubscribed'") {
		t.Errorf("one more: %q", got)
	}
	ask("probe", "1001", "y")
	if ask("subscribe", "1001", "x1") != "" || ask("subscribe", "1002", "y") != "" {
		t.Error("who has them already, and others, are refused")
	}
	if got := len(s.contacts.pending); got != mostOfOne+1 {
		t.Errorf("%d are to be told", got)
	}
	ask("unsubscribe", "1001", "x0")
	if got := ask("subscribe", "1001", "y"); got != "" {
		t.Errorf("in its place: %s", got)
	}
	if sent := string(s.contacts.next(2 * mostOfOne)); strings.Contains(sent, "from='x0@") {
		t.Error("who has gone is told")
	}
	s.contacts.learn("2002", "Ann")
	for name, want := range map[string]string{"Bob": "Bob", "Eve": "Bob"} { // the first change counts
		if name == "Eve" {
			s.contacts.learn("2002", "Bob")
		}
		s.contacts.learn("2002", name)
		if got := s.contacts.nameOf("2002"); got != want {
			t.Errorf("after %s it is %s", name, got)
		}
	}
	for from, want := range map[string]string{"1001@chat.test/x": "<FN>Bob<", "1001@elsewhere.test/x": "<FN>2002<"} {
		got, ok := s.contacts.contactKnown(parse(t, "<iq type='get' from='"+from+"' to='2002@relay.chat.test' id='1'><vCard xmlns='vcard-temp'/></iq>"))
		if !ok || !strings.Contains(got, want) {
			t.Errorf("%s is told %s", from, got)
		}
	}
}

// A person sees a landline in the contact list: there while the relay is, with its name, and across restarts of the relay.
func TestContact(t *testing.T) {
	bothServers(t, withComponent, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		cfg := componentConfig(x)
		cfg.Clients.Texts = true
		l := start(t, m, cfg).up(t)
		at := "2002@" + x.Component
		alice := newPerson(t, x, "1001")
		m.Add(bridge.KindChat, "2002", "1001", `{"from":"2002","to":"1001","content":"hi","name":"Ann"}`)
		alice.must(t, 1, chats)
		alice.raw(t, "<presence type='subscribe' to='"+at+"'/>")
		l.eventually(t, "she sees it", func() bool { return alice.sees(at) == "available" })
		l.stop()
		l.eventually(t, "she sees that it is gone", func() bool { return alice.sees(at) == "unavailable" })
		start(t, m, cfg).up(t)
		l.eventually(t, "she sees it again", func() bool { return alice.sees(at) == "available" })
		for id, c := range map[string]struct{ ask, want string }{
			"disco": {stanza.Disco, "name='Ann'"},
			"vcard": {"<vCard xmlns='vcard-temp'/>", "<FN>Ann</FN>"},
			"last":  {"<query xmlns='jabber:iq:last'/>", "seconds='0'"},
			"time":  {"<time xmlns='urn:xmpp:time'/>", "<utc>" + time.Now().UTC().Format("2006")},
			"ping":  {"<ping xmlns='urn:xmpp:ping'/>", ""},
			"items": {"<query xmlns='http://jabber.org/protocol/disco#items'/>", "disco#items"},
		} {
			alice.raw(t, "<iq type='get' id='"+id+"' to='"+at+"'>"+c.ask+"</iq>")
			answer := other{}
			l.eventually(t, "an answer to "+id, func() bool {
				answer = alice.last(func(o other) bool { return o.Name == "iq" && o.ID == id })
				return answer.ID == id
			})
			if answer.Type != "result" || answer.From != at || !strings.Contains(strings.ReplaceAll(answer.inner, `"`, "'"), c.want) {
				t.Errorf("%s: got %+v, want %s", id, answer, c.want)
			}
		}
	})
}

// last is the newest of a person's presences and answers that f likes.
func (p *person) last(f func(other) bool) (found other) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.others {
		if f(o) {
			found = o
		}
	}
	return found
}

// sees is how a person sees a contact.
func (p *person) sees(bare string) string {
	o := p.last(func(o other) bool {
		return o.Name == "presence" && stanza.Bare(o.From) == bare && (o.Type == "" || o.Type == "unavailable")
	})
	if o.Name != "" && o.Type == "" {
		return "available"
	}
	return o.Type
}

// What may be another landline's number is no name in a room.
func TestNickOf(t *testing.T) {
	s := texting(t)
	for landline, name := range map[string]string{"2001": "Ann", "2002": "2001", "2003": "1003", "front-door": "Door", "2004": "front-door"} {
		s.contacts.learn(landline, name)
	}
	for landline, want := range map[string]string{"2001": "Ann", "2002": "2002", "2003": "2003", "2004": "2004", "2005": "2005", "front-door": "Door"} {
		if got := s.contacts.nickOf(landline); got != want {
			t.Errorf("%s is called %s, want %s", landline, got, want)
		}
	}
}

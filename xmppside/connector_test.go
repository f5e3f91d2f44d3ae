package xmppside

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// impostor is a server, or somebody between, that answers the first bytes of each connection with one text and
// later ones with another, and remembers all it was told.
type impostor struct {
	net.Listener
	mu    sync.Mutex
	heard bytes.Buffer
	calls int
}

func newImpostor(t *testing.T, answers ...string) *impostor {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &impostor{Listener: ln}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { i.serve(nc, answers) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return i
}

func (i *impostor) serve(nc net.Conn, answers []string) {
	defer nc.Close()
	i.mu.Lock()
	i.calls++
	i.mu.Unlock()
	_ = nc.SetDeadline(time.Now().Add(waitLimit))
	buf := make([]byte, 4096)
	for n := 0; ; n++ {
		k, err := nc.Read(buf)
		if err != nil {
			return
		}
		i.mu.Lock()
		i.heard.Write(buf[:k])
		i.mu.Unlock()
		if n < len(answers) {
			_, _ = nc.Write([]byte(answers[n]))
		}
		if n == len(answers)-1 && strings.HasSuffix(answers[n], "</stream:stream>") {
			return
		}
	}
}

func (i *impostor) received() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.heard.String()
}

func (i *impostor) called() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls
}

const streamHead = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='chat.test' id='1' version='1.0'>`

// Somebody between who breaks STARTTLS off must not get a session, and no password either.
func TestStripping(t *testing.T) {
	mechanisms := "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
	starttls := "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	for name, answers := range map[string][]string{
		"failure":         {streamHead + "<stream:features>" + starttls + mechanisms + "</stream:features>", "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
		"not offered":     {streamHead + "<stream:features>" + mechanisms + "</stream:features>", "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
		"nothing offered": {streamHead + "<stream:features/>", ""},
		"hangs up":        {streamHead + "<stream:features>" + starttls + "</stream:features>", "</stream:stream>"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newImpostor(t, answers...)
			cfg := Config{JID: ownJID, Password: Fixed("topsecret"), Addr: i.Addr().String()}
			me, err := cfg.prepare()
			if err != nil {
				t.Fatal(err)
			}
			if k, err := newConnector(&cfg, newClient(&cfg, me)).connect(t.Context(), sm.New(sm.Config{}, sm.State{})); err == nil {
				t.Errorf("logged in as %s", k.full)
			}
			if s := i.received(); strings.Contains(s, "<auth") || strings.Contains(s, "<message") || strings.Contains(s, "<presence") {
				t.Errorf("told: %s", s)
			}
		})
	}
}

func TestSeeOtherHost(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{})
	sends := func(to string) string {
		return streamHead + "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>" + to + "</see-other-host></stream:error></stream:stream>"
	}
	i := newImpostor(t, sends(x.Addr))
	cfg := testConfig(x)
	cfg.Addr = i.Addr().String()
	l := start(t, bridgetest.NewMemory(t), cfg).up(t)
	l.stop()
	if l.log.count(x.Addr) == 0 {
		t.Error("it is not said where we are")
	}
	t.Run("once only", func(t *testing.T) {
		second := newImpostor(t, sends(x.Addr))
		first := newImpostor(t, sends(second.Addr().String()))
		cfg.Addr = first.Addr().String()
		me, err := cfg.prepare()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newConnector(&cfg, newClient(&cfg, me)).connect(t.Context(), sm.New(sm.Config{}, sm.State{})); err == nil || elsewhere(err) != x.Addr {
			t.Errorf("got %v", err)
		}
		if first.called() != 1 || second.called() != 1 {
			t.Errorf("called %d and %d times", first.called(), second.called())
		}
	})
	t.Run("not without TLS", func(t *testing.T) {
		second := newImpostor(t)
		first := newImpostor(t, sends(second.Addr().String()))
		cfg.Addr, cfg.TLS = first.Addr().String(), "off"
		me, err := cfg.prepare()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newConnector(&cfg, newClient(&cfg, me)).connect(t.Context(), sm.New(sm.Config{}, sm.State{})); err == nil || second.called() > 0 {
			t.Errorf("followed %d times: %v", second.called(), err)
		}
	})
}

func TestLocation(t *testing.T) {
	at := func(location, mode, avoid string) []string {
		st := sm.New(sm.Config{}, sm.State{Session: sm.Session{ID: "x", Location: location}})
		cfg := Config{JID: ownJID, Password: Fixed("x"), Addr: "a:1", TLS: mode}
		me, err := cfg.prepare()
		if err != nil {
			t.Fatal(err)
		}
		d := newConnector(&cfg, newClient(&cfg, me))
		d.avoid = avoid
		return d.addresses(t.Context(), st)
	}
	for name, c := range map[string]struct{ got, want []string }{
		"first":       {at("b:2", "", ""), []string{"b:2", "a:1"}},
		"none":        {at("", "", ""), []string{"a:1"}},
		"avoided":     {at("b:2", "", "b:2"), []string{"a:1"}},
		"without TLS": {at("b:2", "off", ""), []string{"a:1"}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLimits(t *testing.T) {
	for text, want := range map[string]struct {
		limit  int
		absurd string
	}{
		"<max-bytes>10000</max-bytes><idle-seconds>9</idle-seconds>": {10000, ""},
		"<max-bytes> 262144 </max-bytes>":                            {262144, ""},
		"<max-bytes>1</max-bytes>":                                   {0, "1"},
		"<max-bytes>9999</max-bytes>":                                {0, "9999"},
		"<max-bytes>0</max-bytes>":                                   {0, "0"},
		"<max-bytes>-5</max-bytes>":                                  {0, "-5"},
		"<max-bytes>9223372036854775807</max-bytes>":                 {0, "9223372036854775807"},
		"<max-bytes>" + strings.Repeat("9", 100) + "</max-bytes>":    {0, strings.Repeat("9", 40)},
		"<max-bytes>x</max-bytes>":                                   {0, "x"},
		"":                                                           {0, ""},
	} {
		k := &connection{}
		d := xml.NewDecoder(strings.NewReader("<limits xmlns='urn:xmpp:stream-limits:0'>" + text + "</limits>"))
		tok, _ := d.Token()
		start := tok.(xml.StartElement)
		if required, _, err := k.limits().Parse(t.Context(), d, &start); err != nil || required || k.limit != want.limit || k.absurd != want.absurd {
			t.Errorf("%s: %d, %q (%v), want %+v", text, k.limit, k.absurd, err, want)
		}
	}
	var log bytes.Buffer
	d := newConnector(&Config{Log: zerolog.New(&log)}, nil)
	for _, absurd := range []string{"1", "1", "2", "", "2"} {
		d.warnLimit(absurd)
	}
	if n := strings.Count(log.String(), "max_bytes"); n != 3 {
		t.Errorf("said %d times, want 3: %s", n, log.String())
	}
}

func TestSASLCondition(t *testing.T) {
	if got := saslCondition(fmt.Errorf("no")); got != "sasl" {
		t.Errorf("got %s", got)
	}
}

func TestIQ(t *testing.T) {
	ask := func(text string) string {
		e := parse(t, text)
		payload, ok := known(e, "1.2")
		return string(answerTo(e, payload, ok))
	}
	const from = " id='1' from='a b@chat.test/x'" // no JID, as mellium sees it
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"ping":            {"<iq type='get'" + from + "><ping xmlns='urn:xmpp:ping'/></iq>", []string{"type='result'", "id='1'", "to='a b@chat.test/x'"}},
		"version":         {"<iq type='get'" + from + "><query xmlns='jabber:iq:version'/></iq>", []string{"type='result'", "<name>chatrelay</name>", "<version>1.2</version>"}},
		"disco":           {"<iq type='get'" + from + "><query xmlns='" + stanza.NSDisco + "'/></iq>", []string{"type='result'", "category='client'", "var='urn:xmpp:ping'", "var='urn:xmpp:receipts'"}},
		"disco node":      {"<iq type='get'" + from + "><query xmlns='" + stanza.NSDisco + "' node='x'/></iq>", []string{"type='error'", "service-unavailable"}},
		"set version":     {"<iq type='set'" + from + "><query xmlns='jabber:iq:version'/></iq>", []string{"type='error'", "service-unavailable"}},
		"roster push":     {"<iq type='set'" + from + "><query xmlns='jabber:iq:roster'><item jid='evil@x'/></query></iq>", []string{"type='error'", "service-unavailable"}},
		"anything":        {"<iq type='get'" + from + "><x xmlns='y'/></iq>", []string{"type='error'", "service-unavailable"}},
		"nothing":         {"<iq type='get'" + from + "/>", []string{"type='error'"}},
		"from our server": {"<iq type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>", []string{"type='result'", "id='2'"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(c.text)
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s has no %s", got, want)
				}
			}
			if strings.Contains(c.text, "id='2'") && strings.Contains(got, "to=") {
				t.Errorf("%s has an address", got)
			}
		})
	}
}

// Only whom we asked can answer.
func TestAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		to, from string
		want     bool
	}{
		"the one asked":          {"a@b", "a@b", true},
		"somebody else":          {"a@b", "c@b", false},
		"another resource":       {"a@b", "a@b/x", false},
		"our account, unnamed":   {"", "", true},
		"our account":            {"", ownJID, true},
		"our server":             {"", "chat.test", true},
		"ourselves":              {"", ownJID + "/r", true},
		"not our account":        {"", "evil@chat.test", false},
		"our account, by name":   {ownJID, "", true}, // mellium takes the name away
		"not by name":            {ownJID, "chat.test", false},
		"unnamed for a stranger": {"a@b", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			q := &question{to: c.to, answer: make(chan *stanza.Element, 1)}
			k := &connection{full: ownJID + "/r", asking: asking{waiting: map[string]*question{"1": q}}}
			k.answered(parse(t, "<iq type='result' id='1' from='"+c.from+"'/>"))
			k.answered(parse(t, "<iq type='result' id='2'/>"))
			if got := len(q.answer) == 1; got != c.want || (len(k.asking.waiting) == 0) != c.want {
				t.Errorf("taken: %v", got)
			}
		})
	}
}

func TestAskers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a askers
		asked := func(name string) (n int) {
			for range 1000 {
				if a.allow(name) {
					n++
				}
			}
			return n
		}
		if a, b := asked("1001@chat.test"), asked("1002@chat.test"); a != askedEach || b != askedEach {
			t.Errorf("%d and %d answers in a second, want %d each", a, b, askedEach)
		}
		all := 2 * askedEach
		for i := range 1000 {
			all += asked(fmt.Sprint(i, "@evil.test"))
		}
		if all != askedAll || len(a.given) > askedAll {
			t.Errorf("%d answers in a second to all, want %d; %d are remembered", all, askedAll, len(a.given))
		}
		time.Sleep(time.Second)
		if n := asked("1001@chat.test"); n != askedEach {
			t.Errorf("%d answers in the next second", n)
		}
	})
}

func TestAsker(t *testing.T) {
	s := seated(t)
	for from, want := range map[string]asker{
		"1001@chat.test/x":         {"1001@chat.test", false},
		"1001@chat.test/y":         {"1001@chat.test", false},
		roomJID + "/alice":         {roomJID + "/alice", false},
		roomJID + "/" + ownNick(s): {roomJID + "/" + ownNick(s), true},
	} {
		if got := s.asker(from); got != want {
			t.Errorf("%s: got %+v", from, got)
		}
	}
}

func ownNick(s *Side) string { return s.rooms.Nick(roomJID) }

package xmppside

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

// withComponent is a server that lets the relay in as a component.
var withComponent = servers.XMPPConfig{PlainAllowed: true, Component: "relay"}

func componentConfig(x *servers.XMPP) Config {
	return Config{
		Component: true, JID: x.Component, Password: Fixed(x.Secret()), Addr: x.ComponentAddr, TLS: "off", UserDomain: x.Domain,
		Version: "test", Drain: 5 * time.Second,
	}
}

// A landline is an address of the component: what it says comes from there, and what is sent there is for it.
func TestComponent(t *testing.T) {
	bothServers(t, withComponent, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		d := m.SideJournal()
		l := startWith(t, m, componentConfig(x), d, inlet{d}).up(t)
		alice := newPerson(t, x, "1001")
		at := func(landline string) string { return landline + "@" + x.Component }
		send := func(kind bridge.Kind, from string, note bridge.Note) {
			t.Helper()
			m.Add(kind, from, "1001", "hi")
			out, err := d.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			out.Note = note
			if err := l.Send(t.Context(), out); err != nil {
				t.Fatal(err)
			}
		}
		send(bridge.KindChat, "2001", bridge.Note{})
		got := alice.must(t, 1, chats)[0]
		if got.From != at("2001") || got.Body != "hi" {
			t.Errorf("got %+v", got)
		}
		m.Until(t, "closed by the fence", bridgetest.AllClosed)

		alice.raw(t, "<message to='"+at("2002")+"' type='chat' id='q1' xml:lang='zh'><body>{}</body><request xmlns='urn:xmpp:receipts'/></message>")
		in := l.takes(t, 1)[0]
		if in.From != "1001" || in.To != "2002" || !in.Receipt || string(in.Body) != "{}" || in.Refused != nil || in.Ignored != "" {
			t.Fatalf("got %+v", in)
		}
		send(bridge.KindReceipt, "", bridge.Note{Reply: in.Reply})
		alice.must(t, 1, func(s clients.Stanza) bool { return s.Received == "q1" && s.From == at("2002") })
		send(bridge.KindError, "", bridge.Note{Reply: in.Reply, Reason: bridge.PlainText, Text: "x"})
		refused := alice.must(t, 1, func(s clients.Stanza) bool { return s.Type == "error" && s.ID == "q1" })[0]
		if refused.From != at("2002") || !strings.Contains(refused.Text, "纯文本") {
			t.Errorf("got %+v", refused)
		}
		m.Until(t, "closed by the fence", bridgetest.AllClosed)

		// The relay itself, and nobody.
		alice.raw(t, "<message to='"+x.Component+"' type='chat' id='q2'><body>{}</body></message>",
			"<message to='"+at("no+one")+"' type='chat' id='q3'><body>{}</body></message>")
		all := l.takes(t, 3)
		if in := all[1]; in.From != "1001" || in.To != "" || in.Refused != nil {
			t.Errorf("got %+v", in)
		}
		if in := all[2]; in.To != "" || in.Refused == nil || in.Refused.Reason != "bad_address" {
			t.Errorf("got %+v", in)
		}
		// Whoever asks an address is answered from there.
		for _, to := range []string{at("2001"), x.Component} {
			alice.raw(t, "<iq type='get' to='"+to+"' id='v-"+to+"'><query xmlns='"+stanza.NSVersion+"'/></iq>",
				"<iq type='get' to='"+to+"' id='w-"+to+"'><query xmlns='urn:unknown'/></iq>")
			alice.must(t, 1, func(s clients.Stanza) bool { return s.ID == "w-"+to && s.Type == "error" && s.From == to })
		}
		if n := m.Counted(bridge.MaybeDuplicate); n != 0 {
			t.Errorf("maybe_duplicate is %d", n)
		}
	})
}

// What was sent and not confirmed when a connection breaks is sent again, and counted; nothing is lost, and what comes is taken.
func TestComponentCut(t *testing.T) {
	bothServers(t, withComponent, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		link := proxy.New(t, x.ComponentAddr)
		cfg := componentConfig(x)
		cfg.Addr = link.Addr()
		l := start(t, m, cfg).up(t)
		alice := newPerson(t, x, "1001")
		const each = 40
		for round := range 4 {
			for i := range each {
				m.Add(bridge.KindChat, "2001", "1001", fmt.Sprint(round*each+i))
			}
			if round > 0 {
				link.Cut()
			}
		}
		m.Until(t, "all closed", bridgetest.AllClosed)
		alice.must(t, 1, func(s clients.Stanza) bool { return chats(s) && s.Body == fmt.Sprint(4*each-1) }) // some come twice before it
		got := alice.must(t, 4*each, chats)
		next := 0
		ids := map[string]bool{}
		for _, s := range got {
			if ids[s.ID] {
				continue
			}
			ids[s.ID] = true
			if s.Body != fmt.Sprint(next) {
				t.Fatalf("%s came where %d was due", s.Body, next)
			}
			next++
		}
		if twice := len(got) - len(ids); next != 4*each || twice > m.Counted(bridge.MaybeDuplicate) {
			t.Errorf("%d arrived, %d of them twice, and maybe_duplicate is %d", next, twice, m.Counted(bridge.MaybeDuplicate))
		}
		l.up(t)
		if err := alice.says("2002@"+x.Component, "in"); err != nil {
			t.Fatal(err)
		}
		l.takes(t, 1)
	})
}

// A link on which nothing passes any more is given up within 10 s.
func TestComponentDeadConnection(t *testing.T) {
	t.Parallel()
	bothServers(t, withComponent, func(t *testing.T, x *servers.XMPP) {
		link := proxy.New(t, x.ComponentAddr)
		cfg := componentConfig(x)
		cfg.Addr = link.Addr()
		l := start(t, bridgetest.NewMemory(t), cfg).up(t)
		link.Stall(proxy.Down, true)
		link.Stall(proxy.Up, true)
		began := time.Now()
		l.down(t, "")
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("noticed after %v", took)
		}
		link.Stall(proxy.Down, false)
		link.Stall(proxy.Up, false)
		link.Cut()
		l.up(t)
	})
}

// Prosody lets no second connection in; the relay tries again until it is.
func TestComponentTaken(t *testing.T) {
	x := servers.NewProsody(t, withComponent)
	first := start(t, bridgetest.NewMemory(t), componentConfig(x)).up(t)
	second := start(t, bridgetest.NewMemory(t), componentConfig(x))
	second.down(t, "kick_old")
	first.stop()
	second.up(t)
}

// Where a new connection takes the component over, the old one stands back.
func TestComponentKicked(t *testing.T) {
	cfg := withComponent
	cfg.KickOld = true
	x := servers.NewProsody(t, cfg)
	first := start(t, bridgetest.NewMemory(t), componentConfig(x)).up(t)
	second := start(t, bridgetest.NewMemory(t), componentConfig(x)).up(t)
	first.eventually(t, "it is said", func() bool { return first.log.count("another connection is the same component") == 1 })
	if ok, why := second.Up(); !ok || second.log.count("not connected") > 0 {
		t.Errorf("the second one is disturbed: %s", why)
	}
}

// ejabberd lets several in, and deals out among them what comes: the later one gives way.
func TestTwoComponents(t *testing.T) {
	t.Parallel()
	x := servers.NewEjabberd(t, withComponent)
	first := start(t, bridgetest.NewMemory(t), componentConfig(x)).up(t)
	second := start(t, bridgetest.NewMemory(t), componentConfig(x))
	second.eventually(t, "it is said", func() bool { return second.log.count("another connection is the same component") == 1 })
	first.up(t)
	time.Sleep(2 * componentAskEvery) // each has heard the other's pings
	first.up(t)
	if n, m := first.log.count("another connection is the same component"), first.log.count(`"connected"`); n != 0 || m != 1 {
		t.Errorf("the first one stands back, too, or was thrown out: %d, connected %d times", n, m)
	}
	second.stop()
	first.up(t)
	first.stop()
	sharedWithDead(t, x)
}

// sharedWithDead: what ejabberd gives to another connection of the component is lost, where that is a dead one: it is said, and the relay
// is not ready until it is over.
func sharedWithDead(t *testing.T, x *servers.XMPP) {
	t.Helper()
	m := bridgetest.NewMemory(t)
	l := start(t, m, componentConfig(x)).up(t)
	dead := componentStream(t, x) // which reads nothing
	l.down(t, "another connection of this component")
	m.Add(bridge.KindChat, "2001", "1001", "hi")
	m.Until(t, "what goes out is confirmed all the same", bridgetest.AllClosed)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l.up(t)
	l.eventually(t, "it is said that it is over", func() bool { return l.log.count("no other connection") == 1 })
	if warned, connected := l.log.count(sharedText), l.log.count(`"connected"`); warned != 1 || connected != 1 {
		t.Errorf("said %d times, connected %d times", warned, connected)
	}
}

// componentStream is a component's connection that nobody serves.
func componentStream(t *testing.T, x *servers.XMPP) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", x.ComponentAddr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	in := xml.NewDecoder(c)
	next := func(write string) xml.StartElement {
		if _, err := io.WriteString(c, write); err != nil {
			t.Fatal(err)
		}
		for {
			tok, err := in.Token()
			if err != nil {
				t.Fatal(err)
			}
			if start, ok := tok.(xml.StartElement); ok {
				return start
			}
		}
	}
	head := next("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + x.Component + "'>")
	proof := sha1.Sum([]byte((&stanza.Element{Attr: head.Attr}).Get("id") + x.Secret()))
	if got := next("<handshake>" + hex.EncodeToString(proof[:]) + "</handshake>"); got.Name.Local != "handshake" {
		t.Fatalf("got <%s/>", got.Name.Local)
	}
	return c
}

func TestComponentRefused(t *testing.T) {
	bothServers(t, withComponent, func(t *testing.T, x *servers.XMPP) {
		cfg := componentConfig(x)
		for _, s := range Check(t.Context(), cfg) {
			if !s.OK && s.Name != "xmpp rate limit" { // that can be a busy machine
				t.Errorf("%+v", s)
			}
		}
		cfg = componentConfig(x)
		cfg.Password = Fixed("wrong")
		if s := step(t, Check(t.Context(), cfg), "login"); s.OK || !s.Fatal || !strings.Contains(s.Text(), "CHATRELAY_XMPP_PASSWORD") {
			t.Errorf("%+v", s)
		}
		cfg.Password = Fixed("wrong")
		start(t, bridgetest.NewMemory(t), cfg).down(t, "with this secret")
		cfg = componentConfig(x)
		cfg.JID = "other." + x.Domain
		want := map[string]string{"prosody": "no component of that name", "ejabberd": "with this secret"}[x.Name]
		start(t, bridgetest.NewMemory(t), cfg).down(t, want)
		cfg = componentConfig(x)
		cfg.Addr = x.Addr // the port for clients
		l := start(t, bridgetest.NewMemory(t), cfg)
		l.eventually(t, "an attempt", func() bool { return l.log.count("not connected") > 0 })
	})
}

// What has come when the relay is stopped is taken, or its sender is told: nothing that comes in between vanishes. So with Prosody;
// ejabberd 23.01 drops without a word what waits within it for a connection that ends.
func TestComponentStop(t *testing.T) {
	x := servers.NewProsody(t, withComponent)
	m := bridgetest.NewMemory(t)
	l := start(t, m, componentConfig(x)).up(t)
	alice := newPerson(t, x, "1001")
	const n = 600
	for i := range n {
		if err := alice.Send("2002@"+x.Component, "chat", fmt.Sprintf("n-%d", i), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if i == n/3 {
			l.takes(t, 20)
			l.end()
		}
	}
	<-l.done
	if err := alice.sync(); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, in := range m.Taken() {
		known[string(in.Body)] = true
	}
	taken := len(known)
	l.eventually(t, "an error for each of the others", func() bool {
		alice.mu.Lock()
		defer alice.mu.Unlock()
		for _, s := range alice.got {
			if id, ok := strings.CutPrefix(s.ID, "n-"); ok && s.Type == "error" {
				known[id] = true
			}
		}
		return len(known) == n
	})
	t.Logf("%d taken, %d given back", taken, n-taken)
}

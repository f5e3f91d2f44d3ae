package xmppside

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
	"chatrelay/xmppside/stanza"
)

// inlet is a journal without its dispatcher.
type inlet struct{ *bridgetest.SideJournal }

func (i inlet) Offer(ctx context.Context, in bridge.Inbound) error {
	return i.SideJournal.Offer(ctx, in)
}

func TestLogin(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		other := servers.XMPP{}
		for name, change := range map[string]func(*Config){
			"starttls": func(*Config) {},
			"direct":   func(c *Config) { c.TLS, c.Addr = "direct", x.DirectTLSAddr },
			"off":      func(c *Config) { c.TLS, c.Roots = "off", nil },
		} {
			t.Run(name, func(t *testing.T) {
				cfg := testConfig(x)
				change(&cfg)
				l := start(t, bridgetest.NewMemory(t), cfg).up(t)
				l.stop()
				if ok, why := l.Up(); ok || why != "stopped" {
					t.Errorf("up %v (%s) after the end", ok, why)
				}
			})
		}
		t.Run("wrong CA", func(t *testing.T) {
			var err error
			if other.Certs, err = servers.MakeCerts(t.TempDir(), "x", "chat.test"); err != nil {
				t.Fatal(err)
			}
			cfg := testConfig(x)
			cfg.Roots = servers.Roots(t, other.CAFile)
			start(t, bridgetest.NewMemory(t), cfg).down(t, "certificate")
		})
		t.Run("wrong domain", func(t *testing.T) {
			cfg := testConfig(x)
			cfg.JID = "receiver@elsewhere.test"
			start(t, bridgetest.NewMemory(t), cfg).down(t, "")
			steps := Check(t.Context(), cfg)
			if last := steps[len(steps)-1]; last.OK || !last.Fatal {
				t.Errorf("got %+v", last)
			}
		})
		t.Run("password is changed", func(t *testing.T) {
			var password atomic.Value
			password.Store("wrong")
			cfg := testConfig(x)
			cfg.Password = func() (string, error) { return password.Load().(string), nil }
			l := start(t, bridgetest.NewMemory(t), cfg)
			l.down(t, "CHATRELAY_XMPP_PASSWORD")
			password.Store(x.Password("receiver"))
			l.up(t)
			if n := l.log.count("does not let us in"); n != 1 {
				t.Errorf("said %d times", n)
			}
		})
		t.Run("no password", func(t *testing.T) {
			cfg := testConfig(x)
			cfg.Password = func() (string, error) { return "", errors.New("no such file") }
			start(t, bridgetest.NewMemory(t), cfg).down(t, "CHATRELAY_XMPP_PASSWORD_FILE")
		})
	})
}

// Without TLS allowed by the server, "off" gets nowhere; with it required, all is encrypted.
func TestTLSRequired(t *testing.T) {
	bothServers(t, servers.XMPPConfig{}, func(t *testing.T, x *servers.XMPP) {
		cfg := testConfig(x)
		start(t, bridgetest.NewMemory(t), cfg).up(t).stop()
		cfg.TLS = "off"
		l := start(t, bridgetest.NewMemory(t), cfg)
		l.eventually(t, "an attempt", func() bool { return l.log.count("not connected") > 0 })
		if up, _ := l.Up(); up {
			t.Error("logged in without TLS")
		}
	})
}

func TestAnswers(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		d := m.SideJournal()
		l := startWith(t, m, testConfig(x), d, inlet{d}).up(t)
		alice := newPerson(t, x, "1001")
		alice.raw(t, "<message to='"+l.cfg.JID+"' type='chat' id='q1'><body>{}</body><request xmlns='urn:xmpp:receipts'/></message>")
		in := l.takes(t, 1)[0]
		if in.From != "1001" || !in.Receipt {
			t.Fatalf("got %+v", in)
		}
		send := func(kind bridge.Kind, note bridge.Note) {
			t.Helper()
			m.Add(kind, "1001", "1001", "x")
			out, err := d.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			out.Note, out.Note.Reply = note, in.Reply
			if err := l.Send(t.Context(), out); err != nil {
				t.Fatal(err)
			}
		}
		send(bridge.KindReceipt, bridge.Note{})
		send(bridge.KindError, bridge.Note{Reason: "from_mismatch", Text: "you are not <her>"})
		alice.must(t, 1, func(s clients.Stanza) bool { return s.Received == "q1" && s.From == l.cfg.JID+"/chatrelay" })
		got := alice.must(t, 1, func(s clients.Stanza) bool { return s.Type == "error" && s.ID == "q1" })[0]
		if got.Condition != "forbidden" || got.Text != "you are not <her>" {
			t.Errorf("got %+v", got)
		}
		m.Until(t, "both closed", bridgetest.AllClosed)
	})
}

// A body with an element inside its text is refused whole, not relayed without it. ejabberd 23.01 itself cuts the
// element out before anybody sees it.
func TestChildInBody(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true})
	m := bridgetest.NewMemory(t)
	l := start(t, m, testConfig(x)).up(t)
	alice := newPerson(t, x, "1001")
	alice.raw(t, "<message to='"+l.cfg.JID+"' type='chat' id='c1'><body>{\"content\":\"pay <b xmlns='urn:b'>not </b>now\"}</body></message>")
	in := l.takes(t, 1)[0]
	if in.Refused == nil || in.Refused.Reason != "bad_body" || len(in.Body) > 0 || in.From != "1001" || in.Reply.IsZero() {
		t.Errorf("got %+v", in)
	}
}

func TestFullJournal(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true})
	m := bridgetest.NewMemory(t)
	m.Judge(func(bridge.Inbound) error { return bridge.ErrFull })
	l := start(t, m, testConfig(x)).up(t)
	alice := newPerson(t, x, "1001")
	alice.raw(t, "<message to='"+l.cfg.JID+"' type='chat' id='f1'><body>{}</body></message>")
	got := alice.must(t, 1, withID("f1"))[0]
	if got.Type != "error" || got.Condition != "resource-constraint" || got.Text == "" {
		t.Errorf("got %+v", got)
	}
	if n := m.Sum().Taken; n != 0 {
		t.Errorf("%d taken", n)
	}
}

func TestBounce(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		l := start(t, m, testConfig(x)).up(t)
		for range 3 {
			m.Add(bridge.KindChat, "2001", "nobody", "x")
		}
		m.Until(t, "bounced", func(s bridgetest.Sum) bool { return s.Counts["bounced"] == 3 })
		if in := l.takes(t, 1)[0]; in.Ignored != "bounce" {
			t.Errorf("got %+v", in)
		}
		if n := l.log.count("the XMPP server gave a message back"); n != 1 {
			t.Errorf("said %d times", n)
		}
	})
}

// Who wants to see whether the relay is there may; who writes to it inside a room is told where to write.
func TestSubscriptions(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		l := start(t, bridgetest.NewMemory(t), testConfig(x)).up(t)
		alice := newPerson(t, x, "1001")
		stands := func(want string) {
			t.Helper()
			l.eventually(t, "alice stands as "+want, func() bool {
				l.mu.Lock()
				c := l.current
				l.mu.Unlock()
				e, err := c.Ask(t.Context(), "", "get", "<query xmlns='"+stanza.NSRoster+"'/>")
				if err != nil {
					t.Fatal(err)
				}
				got := "none"
				for _, it := range e.Child(stanza.NSRoster, "query").All(stanza.NSRoster, "item") {
					if it.Get("jid") == alice.jid {
						got = it.Get("subscription")
					}
				}
				return got == want
			})
		}
		alice.raw(t, "<presence type='subscribe' to='"+l.cfg.JID+"'/>")
		stands("from")
		alice.raw(t, "<presence type='unsubscribe' to='"+l.cfg.JID+"'/>")
		stands("none")
	})
}

func TestTooLarge(t *testing.T) {
	x := servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true})
	m := bridgetest.NewMemory(t)
	start(t, m, testConfig(x)).up(t)
	ref := m.Add(bridge.KindChat, "2001", "1001", strings.Repeat("&", 60<<10)) // it grows fivefold
	m.Until(t, "closed", bridgetest.AllClosed)
	var why *bridge.Refusal
	if _, err := m.Delivery(ref); !errors.As(err, &why) || why.Reason != "too_large" {
		t.Errorf("closed with %v", err)
	}
}

// A stanza that the server refuses by closing the stream is found and set aside; the others keep their order.
func TestPoison(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		alice := newPerson(t, x, "1001")
		d := m.SideJournal()
		cfg := testConfig(x)
		var refs []bridge.Ref
		for i := range 10 {
			body := fmt.Sprint(i)
			if i == 4 {
				body = strings.Repeat("x", 400<<10)
			}
			refs = append(refs, m.Add(bridge.KindChat, "2001", "1001", body))
		}
		l := startWith(t, m, cfg, d, inlet{d})
		l.most = 1 << 20 // what the relay believes
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		carried := make(chan struct{})
		go func() { defer close(carried); d.Dispatch(ctx, l.Side) }()
		m.Until(t, "all closed", bridgetest.AllClosed)
		var why *bridge.Refusal
		if _, err := m.Delivery(refs[4]); !errors.As(err, &why) || why.Reason != "poison" {
			t.Errorf("closed with %v", err)
		}
		var got []string
		for _, s := range alice.must(t, 9, chats) {
			if !slices.Contains(got, s.Body) { // those that went out together with it may come twice
				got = append(got, s.Body)
			}
		}
		if want := "0 1 2 3 5 6 7 8 9"; strings.Join(got, " ") != want {
			t.Errorf("heard %v, want %s", got, want)
		}
		m.Add(bridge.KindChat, "2001", "1001", "after")
		m.Until(t, "all closed", bridgetest.AllClosed)
		cancel()
		<-carried
	})
}

func TestConflict(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		first := start(t, bridgetest.NewMemory(t), testConfig(x)).up(t)
		start(t, bridgetest.NewMemory(t), testConfig(x)).up(t)
		first.down(t, "conflict")
		first.eventually(t, "it is said", func() bool { return first.log.count("another instance uses this resource") == 1 })
		if n := first.log.count("connected\""); n != 1 {
			t.Errorf("came back: %d logins", n)
		}
	})
}

// Without XEP-0198 a ping is the fence, and a cut may double: it is counted.
func TestWithoutStreamManagement(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true, NoSM: true}, func(t *testing.T, x *servers.XMPP) {
		m := bridgetest.NewMemory(t)
		link := proxy.New(t, x.Addr)
		cfg := testConfig(x)
		cfg.Addr = link.Addr()
		l := start(t, m, cfg).up(t)
		alice := newPerson(t, x, "1001")
		m.Add(bridge.KindChat, "2001", "1001", "a")
		m.Until(t, "closed by the fence", bridgetest.AllClosed)
		link.Stall(proxy.Down, true)
		m.Add(bridge.KindChat, "2001", "1001", "b")
		alice.must(t, 2, chats)
		link.Cut()
		link.Stall(proxy.Down, false)
		m.Until(t, "closed at last", bridgetest.AllClosed)
		l.up(t)
		if n := m.Counted(bridge.MaybeDuplicate); n != 1 {
			t.Errorf("maybe_duplicate is %d", n)
		}
		got := alice.must(t, 3, chats)
		if got[1].ID != got[2].ID || got[2].Body != "b" || got[0].ID == got[1].ID {
			t.Errorf("got %+v", got)
		}
		if err := alice.says(cfg.JID, "in"); err != nil {
			t.Fatal(err)
		}
		if in := l.takes(t, 1)[0]; in.From != "1001" || len(in.State) != 0 {
			t.Errorf("got %+v", in)
		}
	})
}

func TestCheck(t *testing.T) {
	cfg := servers.XMPPConfig{PlainAllowed: true, MAM: true, Rooms: []string{"room"}}
	bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
		l := start(t, bridgetest.NewMemory(t), testConfig(x)).up(t)
		c := testConfig(x)
		c.Rooms = []string{x.Room("room")}
		for _, s := range Check(t.Context(), c) {
			if !s.OK && s.Name != "xmpp rate limit" { // that can be a busy machine; internal/app tests it
				t.Errorf("%+v", s)
			}
		}
		c.Rooms = []string{x.Room("missing")}
		if s := step(t, Check(t.Context(), c), "room"); s.OK || s.Fatal || !strings.Contains(s.Text(), "CHATRELAY_XMPP_ROOMS") {
			t.Errorf("%+v", s)
		}
		c.Password = Fixed("wrong")
		if s := step(t, Check(t.Context(), c), "login"); s.OK || !s.Fatal || !strings.Contains(s.Text(), "CHATRELAY_XMPP_PASSWORD") {
			t.Errorf("%+v", s)
		}
		c.JID = "x"
		if s := Check(t.Context(), c); len(s) != 1 || s[0].OK || !s[0].Fatal {
			t.Errorf("%+v", s)
		}
		if up, why := l.Up(); !up || l.log.count("not connected") > 0 {
			t.Errorf("the running relay was disturbed: %s", why)
		}
	})
	cfg = servers.XMPPConfig{PlainAllowed: true, NoSM: true, Rooms: []string{"room"}, AnonymousRooms: true, StanzaLimit: 20_000}
	t.Run("without", func(t *testing.T) {
		bothServers(t, cfg, func(t *testing.T, x *servers.XMPP) {
			c := testConfig(x)
			c.Rooms = []string{x.Room("room")}
			steps := Check(t.Context(), c)
			for part, want := range map[string]string{"XEP-0198": "smacks", "XEP-0313": "mod_mam", "room": "anonymous", "XEP-0478": "max_stanza_size"} {
				if part == "XEP-0478" && !step(t, steps, "rate limit").OK {
					continue // a busy machine: it is not tried
				}
				if s := step(t, steps, part); s.OK || s.Fatal || !strings.Contains(s.Text(), want) {
					t.Errorf("%+v", s)
				}
			}
		})
	})
	t.Run("wrong CA", func(t *testing.T) {
		x := servers.NewProsody(t, servers.XMPPConfig{})
		certs, err := servers.MakeCerts(t.TempDir(), "x", "chat.test")
		if err != nil {
			t.Fatal(err)
		}
		c := testConfig(x)
		c.Roots = servers.Roots(t, certs.CAFile)
		if s := step(t, Check(t.Context(), c), "login"); s.OK || !strings.Contains(s.Text(), "CHATRELAY_XMPP_CA_FILE") {
			t.Errorf("%+v", s)
		}
		c.Addr = servers.FreeAddr(t)
		if s := step(t, Check(t.Context(), c), "login"); s.OK || !strings.Contains(s.Text(), "CHATRELAY_XMPP_ADDR") {
			t.Errorf("%+v", s)
		}
	})
}

func step(t *testing.T, steps []bridge.Step, part string) bridge.Step {
	t.Helper()
	for _, s := range steps {
		if strings.Contains(s.Name, part) {
			return s
		}
	}
	t.Fatalf("no step %s in %+v", part, steps)
	return bridge.Step{}
}

// TestSoftware: both servers say what they are, and only Prosody is kept from having more before it than it reads
// at a time. It is asked again after a fresh login, as it may be another then.
func TestSoftware(t *testing.T) {
	bothServers(t, servers.XMPPConfig{PlainAllowed: true}, func(t *testing.T, x *servers.XMPP) {
		l := start(t, bridgetest.NewMemory(t), testConfig(x)).up(t)
		l.eventually(t, "the server's name", func() bool { return strings.EqualFold(l.knownSoftware(), x.Name) })
		if want := map[string]int{"prosody": 4096, "ejabberd": 0}[x.Name]; readSizeFor(l.knownSoftware()) != want {
			t.Errorf("%s reads %d bytes at a time, want %d", l.knownSoftware(), readSizeFor(l.knownSoftware()), want)
		}
	})
	if readSizeFor("") != readSize {
		t.Error("a server that does not say its name must be taken for Prosody")
	}
}

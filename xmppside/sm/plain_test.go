package sm

import (
	"context"
	"slices"
	"strings"
	"testing"

	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
)

// without plays a login to a server that has no XEP-0198.
func without(f *fake) {
	f.authenticate(false)
	f.bind()
}

// declined plays a login to a server that has it and says no.
func declined(f *fake) {
	f.authenticate(true)
	f.bind()
	f.until("<enable ")
	f.write("<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
}

// pinged answers the next ping from an address.
func (f *fake) pinged(from, typ string) {
	f.t.Helper()
	all := f.until("urn:xmpp:ping")
	_, rest, _ := strings.Cut(all[len(all)-1], "id='")
	id, _, _ := strings.Cut(rest, "'")
	f.writef("<iq type='%s' id='%s' from='%s'/>", typ, id, from)
}

func TestFence(t *testing.T) {
	for name, script := range map[string]func(*fake){"not offered": without, "declined": declined} {
		t.Run(name, func(t *testing.T) {
			n := newNotes(true)
			st := New(Config{Journal: n, Acked: n.Acked}, State{})
			c, f := mustConnect(t, st, script)
			if c.l.Enabled() || c.l.Resumed() {
				t.Fatalf("enabled %v, resumed %v", c.l.Enabled(), c.l.Resumed())
			}
			c.send("a")
			f.expect("id='a'")
			f.pinged("chat.test", "result")
			n.waitAcked(t, "a")
			c.send("b")
			f.until("id='b'")
			f.pinged("", "error") // who knows no ping has read all the same
			n.waitAcked(t, "a", "b")
			n.wait(t, "bound to no stream", func(b *notes) bool { return strings.HasPrefix(b.bound[0], "a@:") })
			f.write(inbound(1))
			if m := c.take(); m.Session().ID != "" {
				t.Errorf("session %+v", m.Session())
			} else {
				m.Saved()
			}
			c.send("c")
			f.until("urn:xmpp:ping")
			c.l.Close()
			if e := c.end(); e.Resumable || !slices.Equal(tags(e.Suspects), []string{"c"}) {
				t.Errorf("end %+v", e)
			}
			if lost := st.Lost(); !slices.Equal(tags(lost), []string{"c"}) || !lost[0].Maybe {
				t.Errorf("lost %+v", lost)
			}
		})
	}
}

func TestFenceTrustsOnlyTheServer(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, without)
	c.send("a")
	f.pinged("1001@chat.test/x", "result")
	if m := c.take(); !strings.HasPrefix(m.id, "sm-") {
		t.Errorf("handed over %s", m.id)
	}
	if got := st.Unacked(); got != 2 {
		t.Errorf("%d unacknowledged, want the message and the ping", got)
	}
}

func TestFenceInSingleMode(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Acked: n.Acked}, State{})
	st.Single(true)
	c, f := mustConnect(t, st, without)
	for _, id := range []string{"a", "b"} {
		c.send(id)
		f.expect("id='" + id + "'")
		f.pinged("chat.test", "result")
	}
	n.waitAcked(t, "a", "b")
}

func TestServerThatLostXEP0198(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	f.until("id='a'")
	c.l.Close()
	c.end()
	c, _ = mustConnect(t, st, without)
	if c.l.Enabled() || !slices.Equal(tags(st.Lost()), []string{"a"}) {
		t.Error("the old stream is still hoped for")
	}
	n.wait(t, "session removed", func(b *notes) bool { return b.saves[len(b.saves)-1] == Session{} })
}

func TestEnabledWithoutResumption(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, func(f *fake) {
		f.authenticate(true)
		f.bind()
		f.until("<enable ")
		f.write("<enabled xmlns='urn:xmpp:sm:3' id='st1'/>")
	})
	if !c.l.Enabled() {
		t.Fatal("not enabled")
	}
	f.write(inbound(1))
	c.take().Done()
	f.until("h='1'")
	c.send("a")
	f.until("id='a'")
	c.l.Close()
	if e := c.end(); e.Resumable || len(st.Lost()) != 1 {
		t.Errorf("end %+v", e)
	}
}

func TestFeaturesLeftOut(t *testing.T) {
	st := New(Config{}, State{})
	f, nc := newFake(t)
	l := st.Connection(nc)
	go func() { f.authenticate(true) }()
	me := jid.MustParse("receiver@chat.test/relay")
	_, err := xmpp.NewSession(context.Background(), me.Domain(), me, nc, xmpp.Secure, xmpp.NewNegotiator(
		func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
			return xmpp.StreamConfig{Features: []xmpp.StreamFeature{xmpp.SASL("", "pw", sasl.Plain), l.Bind()}}
		}))
	if err == nil || !strings.Contains(err.Error(), "Connection.SASL") {
		t.Errorf("login without the counting connection: %v", err)
	}
	if e := l.Serve(nil, nil, nil); e.Err == nil {
		t.Error("Serve without a login")
	}
	if l.Context().Err() == nil {
		t.Error("the link's context goes on")
	}
}

func TestBindRefused(t *testing.T) {
	st := New(Config{Resource: "a&b"}, State{})
	f, nc := newFake(t)
	_, err := connect(t, st, nc, func() {
		f.authenticate(true)
		all := f.until("<resource>a&amp;b</resource>")
		_, rest, _ := strings.Cut(all[len(all)-1], "id='")
		id, _, _ := strings.Cut(rest, "'")
		f.writef("<iq type='error' id='%s'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id)
	})
	if err == nil || !strings.Contains(err.Error(), "conflict") {
		t.Errorf("login: %v", err)
	}
}

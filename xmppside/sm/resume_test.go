package sm

import (
	"encoding/xml"
	"errors"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"mellium.im/xmlstream"
	"mellium.im/xmpp/stanza"
)

func TestResumeSendsAgain(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	for _, id := range []string{"a", "b", "c"} {
		c.send(id)
	}
	f.until("id='c'")
	_ = f.nc.Close()
	if e := c.end(); !e.Resumable {
		t.Fatalf("end %+v", e)
	}
	c, f = mustResume(t, st, "h='0' previd='st1'", 1)
	if !c.l.Resumed() || c.sess.LocalAddr().String() != "receiver@chat.test/relay" {
		t.Errorf("resumed %v as %s", c.l.Resumed(), c.sess.LocalAddr())
	}
	n.waitAcked(t, "a")
	f.expect("<r ") // at once, and nothing else before it is answered
	c.send("d")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	f.expect("id='b'")
	f.expect("id='c'")
	f.until("id='d'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='4'/>")
	n.waitAcked(t, "a", "b", "c", "d")
	if lost := st.Lost(); len(lost) != 0 {
		t.Errorf("lost %v", lost)
	}
}

func TestResumedWithImpossibleCount(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	f.until("id='a'")
	c.l.Close()
	c.end()
	f, nc := newFake(t)
	if _, err := connect(t, st, nc, func() { f.resume(7) }); !errors.Is(err, ErrProtocol) {
		t.Fatalf("login: %v", err)
	}
	if got := st.Session().ID; got != "" {
		t.Errorf("still resumable as %s", got)
	}
}

func TestRefused(t *testing.T) {
	cases := []struct {
		name, failed string
		acked, lost  []string
		maybe        bool
	}{
		{"with h", "<failed xmlns='urn:xmpp:sm:3' h='1'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>", []string{"a"}, []string{"b"}, false},
		{"without h", "<failed xmlns='urn:xmpp:sm:3'/>", nil, []string{"a", "b"}, true},
		{"with an h that cannot be", "<failed xmlns='urn:xmpp:sm:3' h='9'/>", nil, []string{"a", "b"}, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			n := newNotes(true)
			st := New(Config{Journal: n, Acked: n.Acked}, State{})
			c, f := mustConnect(t, st, (*fake).fresh)
			c.send("a")
			c.send("b")
			f.until("id='b'")
			c.l.Close()
			c.end()
			c, f = mustConnect(t, st, func(f *fake) {
				f.authenticate(true)
				f.until("<resume ")
				f.write(tc.failed)
				f.bind() // in the same stream
				f.until("<enable ")
				f.write("<enabled xmlns='urn:xmpp:sm:3' id='st2' resume='1'/>")
			})
			if c.l.Resumed() || !c.l.Enabled() {
				t.Errorf("resumed %v, enabled %v", c.l.Resumed(), c.l.Enabled())
			}
			n.waitAcked(t, tc.acked...)
			lost := st.Lost()
			if !slices.Equal(tags(lost), tc.lost) {
				t.Errorf("lost %v, want %v", tags(lost), tc.lost)
			}
			for _, s := range lost {
				if s.Maybe != tc.maybe {
					t.Errorf("%v: Maybe %v, want %v", s.Tag, s.Maybe, tc.maybe)
				}
			}
			if again := st.Lost(); len(again) != 0 {
				t.Errorf("lost twice: %v", again)
			}
			if got := c.send("c"); got != 1 {
				t.Errorf("number %d in the new stream", got)
			}
			f.until("id='c'")
		})
	}
}

func TestForget(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	f.until("id='a'")
	c.l.Close()
	if e := c.end(); !e.Resumable {
		t.Fatalf("end %+v", e)
	}
	st.Forget()
	n.wait(t, "session removed", func(b *notes) bool { return b.saves[len(b.saves)-1] == Session{} })
	if lost := st.Lost(); !slices.Equal(tags(lost), []string{"a"}) || !lost[0].Maybe {
		t.Errorf("lost %+v", lost)
	}
	if c, _ := mustConnect(t, st, (*fake).fresh); c.l.Resumed() {
		t.Error("resumed what was forgotten")
	}
}

func TestBroken(t *testing.T) {
	resumed := func(t *testing.T, clock Clock) (*Stream, *client, *fake) {
		n := newNotes(true)
		st := New(Config{Journal: n, Acked: n.Acked, Clock: clock}, State{})
		c, f := mustConnect(t, st, (*fake).fresh)
		c.send("a")
		f.until("id='a'")
		c.l.Close()
		c.end()
		c, f = mustConnect(t, st, func(f *fake) { f.resume(0) })
		f.expect("<r ")
		return st, c, f
	}
	check := func(t *testing.T, st *Stream, e End) {
		t.Helper()
		if !errors.Is(e.Err, ErrBroken) || e.Resumable {
			t.Fatalf("end %+v", e)
		}
		lost := st.Lost()
		if !slices.Equal(tags(lost), []string{"a"}) || lost[0].Maybe {
			t.Errorf("lost %+v: the server said that it had not come, and nothing was written since", lost)
		}
		c, f := mustConnect(t, st, (*fake).fresh)
		if c.l.Resumed() {
			t.Error("resumed what was broken")
		}
		c.send("a")
		f.until("id='a'")
	}
	t.Run("silence", func(t *testing.T) {
		clock := newTestClock()
		st, c, _ := resumed(t, clock)
		var e End
		done := make(chan struct{})
		go func() { e = c.end(); close(done) }()
		clock.during = c.listening
		clock.drive(t, 100*time.Millisecond, done)
		check(t, st, e)
	})
	t.Run("stanzas come but no answer", func(t *testing.T) {
		clock := newTestClock()
		st, c, f := resumed(t, clock)
		var e End
		done := make(chan struct{})
		go func() { e = c.end(); close(done) }()
		var came int
		clock.during = func() {
			if _, err := f.nc.Write([]byte(inbound("x"))); err == nil {
				select {
				case <-c.taken:
					came++
				case <-c.l.Context().Done(): // it was given up with this one before it
				}
			}
			c.listening()
		}
		clock.drive(t, time.Second, done)
		if came < 5 || came > 6 {
			t.Errorf("given up after %d stanzas, one a second; want 5 s of waiting", came)
		}
		check(t, st, e)
	})
	t.Run("not well-formed", func(t *testing.T) {
		st, c, f := resumed(t, nil)
		f.write("<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
		e := c.end()
		if e.Condition != "not-well-formed" {
			t.Errorf("condition %q", e.Condition)
		}
		check(t, st, e)
	})
	t.Run("a cut proves nothing", func(t *testing.T) {
		_, c, f := resumed(t, nil)
		_ = f.nc.Close()
		if e := c.end(); errors.Is(e.Err, ErrBroken) || !e.Resumable {
			t.Errorf("end %+v", e)
		}
	})
	t.Run("once proven, not well-formed is our own poison", func(t *testing.T) {
		_, c, f := resumed(t, nil)
		f.write("<a xmlns='urn:xmpp:sm:3' h='0'/>")
		f.until("id='a'")
		f.write("<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
		e := c.end()
		if errors.Is(e.Err, ErrBroken) || !slices.Equal(tags(e.Suspects), []string{"a"}) {
			t.Errorf("end %+v", e)
		}
	})
}

func TestStaleWriter(t *testing.T) {
	st := New(Config{}, State{})
	c1, f := mustConnect(t, st, (*fake).fresh)
	c1.send("a")
	f.until("id='a'")
	c2, f2 := mustConnect(t, st, func(f *fake) { f.resume(0) }) // the old one is not over yet
	if e := c1.end(); e.Suspects != nil {
		t.Errorf("the old link answers for the stream: %+v", e)
	}
	if err := c1.sess.Send(t.Context(), stanza.Presence{}.Wrap(nil)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("stale Send: %v", err)
	}
	f2.expect("<r ")
	f2.write("<a xmlns='urn:xmpp:sm:3' h='0'/>")
	f2.expect("id='a'")
	if got := c2.send("b"); got != 2 {
		t.Errorf("number %d: the stale writer was counted", got)
	}
	f2.until("id='b'")
}

func TestDeadConnectionLeavesAnswersToTheNext(t *testing.T) {
	st := New(Config{}, State{})
	f, nc := newFake(t)
	c, err := connect(t, st, nc, f.fresh)
	if err != nil {
		t.Fatal(err)
	}
	c.during = func(m Handle, _ xmlstream.TokenReadEncoder, _ *xml.StartElement) {
		c.l.Close() // the connection breaks while the handler is at work; mellium answers behind it
		m.Done()
	}
	c.start()
	f.write("<iq type='get' id='late' from='chat.test'><x xmlns='y'/></iq>")
	c.end()
	_, f = mustResume(t, st, "h='1'", 0)
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='0'/>")
	f.expect(`id="late"`, "service-unavailable")
}

func TestServesStreamEndIsNotSent(t *testing.T) {
	st := New(Config{}, State{})
	f, nc := newFake(t)
	rec := &recorder{Conn: nc}
	c, err := connect(t, st, rec, f.fresh)
	if err != nil {
		t.Fatal(err)
	}
	c.start()
	f.write("<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced</text><x xmlns='y'/></stream:error>")
	e := c.end()
	if e.Condition != "conflict" || e.Text != "Replaced" || e.Err == nil {
		t.Errorf("end %+v", e)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, w := range rec.writes {
		if strings.Contains(w, "</stream") || strings.Contains(w, "stream:error") {
			t.Errorf("wrote %q", w)
		}
	}
	if _, err := c.sess.Conn().Write([]byte("<presence/>")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write behind the end of the stream: %v", err)
	}
}

func TestRestart(t *testing.T) {
	const edge = math.MaxUint32
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{
		Session: Session{ID: "st1", JID: "receiver@chat.test/relay", Location: "host:1", Max: time.Minute, In: 2*(edge+1) - 2},
		Queue:   []Stanza{{N: edge - 1, Raw: outbound("a"), Tag: "a"}, {N: edge, Raw: outbound("b"), Tag: "b"}, {N: edge + 2, Raw: outbound("c"), Tag: "c"}},
	})
	if got := st.Session().Location; got != "host:1" {
		t.Errorf("location %q", got)
	}
	c, f := mustResume(t, st, "h='4294967294'", edge-1)
	n.waitAcked(t, "a")
	n.wait(t, "c bound to its new number", func(b *notes) bool { return slices.Contains(b.bound, "c@st1:4294967296") })
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='4294967294'/>")
	f.expect("id='b'")
	f.until("id='c'")
	if got := c.send("d"); got != edge+2 {
		t.Errorf("number %d", got)
	}
	f.until("id='d'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>") // 2^32+1
	n.waitAcked(t, "a", "b", "c", "d")
	for _, want := range []string{"h='4294967295'", "h='0'", "h='1'"} {
		f.write(inbound(want[3 : len(want)-1]))
		c.take().Saved()
		for a := f.next(); !strings.Contains(a, want); a = f.next() {
			if strings.Contains(a, "<a ") {
				t.Fatalf("%s, want %s", a, want)
			}
		}
	}
}

func TestRestartWithoutID(t *testing.T) {
	st := New(Config{}, State{Queue: []Stanza{{N: 4, Raw: outbound("a"), Tag: "a"}}})
	lost := st.Lost()
	if !slices.Equal(tags(lost), []string{"a"}) || !lost[0].Maybe {
		t.Errorf("lost %+v", lost)
	}
}

func TestSession(t *testing.T) {
	st := New(Config{}, State{})
	c, _ := mustConnect(t, st, (*fake).fresh)
	sess := st.Session()
	if want := (Session{ID: "st1", JID: "receiver@chat.test/relay", Location: "[::1]:5222", Max: 300 * time.Second}); sess != want {
		t.Errorf("session %+v", sess)
	}
	c.l.Close()
	c.end()
}

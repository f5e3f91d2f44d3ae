package sm

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"mellium.im/xmlstream"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"
)

func TestWatermark(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	var got []taken
	for i := range 3 {
		f.write(inbound(i))
		got = append(got, c.take())
		if got[i].N != uint64(i+1) || got[i].id != fmt.Sprint(i) {
			t.Fatalf("number %d, id %s", got[i].N, got[i].id)
		}
	}
	got[2].Saved()
	f.write("<r xmlns='urn:xmpp:sm:3'/>")
	f.expect("<a ", "h='0'") // at once, though there is nothing to tell
	got[0].Saved()
	f.expect("<a ", "h='1'") // unasked
	got[1].Done()
	f.expect("<a ", "h='3'")
}

func TestSessionIsSetAside(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write(inbound(1) + inbound(2))
	c.take()
	sess := c.take().Session()
	if sess.ID != "st1" || sess.In != 2 || sess.JID == "" || sess.Max == 0 {
		t.Errorf("session %+v", sess)
	}
}

func TestHalfStanza(t *testing.T) {
	for _, hasty := range []bool{false, true} {
		t.Run(fmt.Sprintf("hasty=%v", hasty), func(t *testing.T) {
			st := New(Config{}, State{})
			f, nc := newFake(t)
			c, err := connect(t, st, nc, f.fresh)
			if err != nil {
				t.Fatal(err)
			}
			var whole []string
			c.during = func(m Handle, tr xmlstream.TokenReadEncoder, start *xml.StartElement) {
				if hasty {
					m.Done() // before the stanza was read
				}
				if _, err := body(tr, start); err == nil {
					whole = append(whole, attr(start, "id"))
					m.Done()
				}
			}
			c.start()
			f.write(inbound("1"))
			f.expect("<a ", "h='1'")
			f.write(inbound("2")[:60])
			c.take()
			_ = f.nc.Close()
			c.end()
			var asked string
			f, nc = newFake(t)
			c2, err := connect(t, st, nc, func() { asked = f.resume(0) })
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(asked, "h='1'") {
				t.Errorf("asked %s", asked)
			}
			c2.during = c.during
			c2.start()
			f.write(inbound("2"))
			f.until("h='2'")
			c2.take() // the handler is through
			if !slices.Equal(whole, []string{"1", "2"}) {
				t.Errorf("whole stanzas %v", whole)
			}
		})
	}
}

// body reads a whole message.
func body(t xml.TokenReader, start *xml.StartElement) (string, error) {
	d := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), t))
	var msg struct {
		Body string `xml:"body"`
	}
	err := d.Decode(&msg)
	return msg.Body, err
}

func TestRepeatsAreSkipped(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	iq := "<iq type='get' id='q' from='chat.test'><x xmlns='y'/></iq>"
	f.write(inbound(1) + iq + inbound(3))
	first := []taken{c.take(), c.take(), c.take()}
	f.until("service-unavailable")
	_ = f.nc.Close()
	c.end()
	c, f = mustConnect(t, st, func(f *fake) { f.resume(1) })
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	f.write(inbound(1) + iq + inbound(3) + inbound(4))
	if m := c.take(); m.id != "4" || m.N != 4 {
		t.Errorf("handed over %s as %d", m.id, m.N)
	}
	for _, m := range first {
		m.Saved()
	}
	for _, s := range f.until("h='3'") {
		if strings.Contains(s, "<iq") {
			t.Errorf("answered again: %s", s)
		}
	}
}

func TestRedo(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write(inbound(1) + inbound(2) + inbound(3))
	m1, m2, m3 := c.take(), c.take(), c.take()
	m3.Done()
	m2.Redo()
	m1.Saved()
	if e := c.end(); e.Err != ErrRedo || !e.Resumable {
		t.Fatalf("end %+v", e)
	}
	c, f = mustResume(t, st, "h='1'", 0)
	f.write(inbound(2) + inbound(3))
	for _, want := range []string{"2", "3"} {
		m := c.take()
		if m.id != want {
			t.Errorf("handed over %s, want %s", m.id, want)
		}
		m.Saved()
	}
	f.until("h='3'")
}

func TestAnswersThatMelliumWaitsForAreCounted(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		r, err := c.sess.SendIQ(ctx, stanza.IQ{ID: "w1", Type: stanza.GetIQ, To: jid.MustParse("chat.test")}.Wrap(nil))
		if err == nil {
			_, err = xmlstream.Copy(xmlstream.Discard(), r)
			_ = r.Close()
		}
		if err == io.EOF {
			err = nil
		}
		done <- err
	}()
	f.until("w1")
	f.write("<iq type='result' id='w1' from='chat.test'><x xmlns='y'/></iq>")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	f.until("h='1'") // nobody reported it
	f.write(inbound(2))
	if m := c.take(); m.N != 2 {
		t.Errorf("number %d", m.N)
	}
}

func TestMessageBeforeEnabled(t *testing.T) {
	st := New(Config{}, State{})
	f, nc := newFake(t)
	c, err := connect(t, st, nc, func() {
		f.authenticate(true)
		f.bind()
		f.until("<enable ")
		f.write("<presence from='x@y'/>" + inbound("early"))
		f.write("<enabled xmlns='urn:xmpp:sm:3' id='st1' resume='true'></enabled>" + inbound("first"))
	})
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	c.during = func(_ Handle, tr xmlstream.TokenReadEncoder, start *xml.StartElement) {
		text, err := body(tr, start)
		if err != nil {
			t.Errorf("decode: %v", err)
		}
		bodies = append(bodies, text)
	}
	c.start()
	if m := c.take(); m.id != "early" || m.N != 0 {
		t.Errorf("got %s as %d", m.id, m.N)
	} else {
		m.Done()
		m.Saved()
		m.Redo() // harmless
	}
	if m := c.take(); m.id != "first" || m.N != 1 {
		t.Errorf("got %s as %d", m.id, m.N)
	}
	if !slices.Equal(bodies, []string{"hi", "hi"}) {
		t.Errorf("bodies %q", bodies)
	}
}

func TestLateMarksOfAnOldStream(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write(inbound(1))
	old := c.take()
	c.l.Close()
	c.end()
	c, f = mustConnect(t, st, func(f *fake) {
		f.authenticate(true)
		f.until("<resume ")
		f.write("<failed xmlns='urn:xmpp:sm:3'/>")
		f.bind()
		f.until("<enable ")
		f.write("<enabled xmlns='urn:xmpp:sm:3' id='st2' resume='true'/>")
	})
	f.write(inbound("new"))
	m := c.take()
	old.Saved()
	old.Redo()
	f.write("<r xmlns='urn:xmpp:sm:3'/>")
	f.expect("<a ", "h='0'")
	m.Saved()
	f.expect("<a ", "h='1'")
}

func TestHandlerMaySendWithoutWaiting(t *testing.T) {
	st := New(Config{}, State{})
	f, nc := newFake(t)
	c, err := connect(t, st, nc, f.fresh)
	if err != nil {
		t.Fatal(err)
	}
	c.during = func(m Handle, _ xmlstream.TokenReadEncoder, _ *xml.StartElement) {
		if _, err := st.trySend(outbound("reply"), nil); err != nil {
			t.Errorf("trySend: %v", err)
		}
		m.Done()
	}
	c.start()
	f.write(inbound(1))
	f.until("id='reply'")
}

func TestSilent(t *testing.T) {
	clock := newTestClock()
	st := New(Config{Clock: clock}, State{})
	c, _ := mustConnect(t, st, (*fake).fresh)
	var e End
	done := make(chan struct{})
	go func() { e = c.end(); close(done) }()
	start := clock.Now()
	clock.drive(t, 100*time.Millisecond, done)
	if e.Err != ErrSilent || !e.Resumable {
		t.Errorf("end %+v", e)
	}
	if passed := clock.Now().Sub(start); passed < 30*time.Second {
		t.Errorf("after %v", passed)
	}
}

// outbound is a message to the server.
func outbound(id any) []byte {
	return fmt.Appendf(nil, "<message to='1002@chat.test' id='%v'><body>ho</body></message>", id)
}

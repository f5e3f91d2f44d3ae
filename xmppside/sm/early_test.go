package sm

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// hasty plays a login with messages between bind and <enabled/>; none: the connection ends instead of that.
func hasty(stream string, ids ...string) func(*fake) {
	return func(f *fake) {
		f.authenticate(true)
		f.bind()
		f.until("<enable ")
		for _, id := range ids {
			f.write(inbound(id))
		}
		f.writef("<enabled xmlns='urn:xmpp:sm:3' id='%s' resume='true'/>", stream)
	}
}

// What came before <enabled/> is brought by nobody again: it comes again out of the stream, before all that is counted.
func TestEarlyRedo(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, hasty("st1", "a", "b"))
	f.write(inbound("c"))
	a, b, third := c.take(), c.take(), c.take()
	third.Done()
	a.Done()
	b.Redo()
	if e := c.end(); !errors.Is(e.Err, ErrRedo) {
		t.Fatalf("end %+v", e)
	}
	c, f = mustConnect(t, st, func(f *fake) { f.resume(0) })
	b = c.take()
	f.write(inbound("c"))
	if third = c.take(); b.id != "b" || third.id != "c" {
		t.Fatalf("handed over %s, %s", b.id, third.id)
	}
	b.Saved()
	third.Done()
	c.l.Close()
	c.end()
	c, f = mustConnect(t, st, func(f *fake) { f.resume(0) })
	f.write(inbound("d"))
	if m := c.take(); m.id != "d" {
		t.Errorf("handed over %s again", m.id)
	}
}

// One that is turned away is done when the server has the answer; if that goes with its stream, it is handed over again.
func TestEarlyAnswer(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, hasty("st1", "a"))
	answer := []byte("<message type='error' id='a' to='1001@chat.test/x'/>")
	if err := c.take().Answer(answer); err != nil {
		t.Fatal(err)
	}
	f.until("type='error'")
	c.l.Close()
	c.end()
	again := func(f *fake) {
		f.authenticate(true)
		f.until("<resume ")
		f.write("<failed xmlns='urn:xmpp:sm:3'/>")
		f.bind()
		f.until("<enable ")
		f.write("<enabled xmlns='urn:xmpp:sm:3' id='st2' resume='true'/>")
	}
	c, f = mustConnect(t, st, again)
	m := c.take()
	if m.id != "a" {
		t.Fatalf("handed over %s", m.id)
	}
	if err := m.Answer(answer); err != nil {
		t.Fatal(err)
	}
	f.until("type='error'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>" + inbound("b"))
	c.take().Done()
	f.until("h='1'")
	c.l.Close()
	c.end()
	c, f = mustConnect(t, st, again)
	f.write(inbound("c"))
	if m := c.take(); m.id != "c" {
		t.Errorf("handed over %s again", m.id)
	}
}

// A login that breaks before <enabled/> has lost nothing of it.
func TestEarlyCut(t *testing.T) {
	st := New(Config{}, State{})
	f, nc := newFake(t)
	if _, err := connect(t, st, nc, func() {
		f.authenticate(true)
		f.bind()
		f.until("<enable ")
		f.write(inbound("a") + inbound("b") + "<iq")
		_ = f.nc.Close()
	}); err == nil {
		t.Fatal("logged in")
	}
	c, _ := mustConnect(t, st, (*fake).fresh)
	for _, want := range []string{"a", "b"} {
		if m := c.take(); m.id != want {
			t.Errorf("handed over %s, want %s", m.id, want)
		}
	}
}

// A server that says nothing else does not fill the memory, be it with many children or with long texts.
func TestEarlyFlood(t *testing.T) {
	for name, message := range map[string]string{
		"children":   "<message>" + strings.Repeat("<a/>", 1000) + "</message>",
		"text":       "<message><body>" + strings.Repeat("x", 1<<20) + "</body></message>",
		"attributes": "<message><a x='" + strings.Repeat("x", 1<<20) + "'/></message>",
	} {
		t.Run(name, func(t *testing.T) {
			st := New(Config{}, State{})
			f, nc := newFake(t)
			sent := 0
			_, err := connect(t, st, nc, func() {
				f.authenticate(true)
				f.bind()
				f.until("<enable ")
				_ = f.nc.SetWriteDeadline(time.Now().Add(5 * waitLimit))
				for err := error(nil); err == nil && sent < 2*mostEarly; sent += len(message) {
					_, err = io.WriteString(f.nc, message)
				}
				_ = f.nc.Close()
			})
			if !errors.Is(err, errEarly) {
				t.Errorf("login, after %d bytes: %v", sent, err)
			}
		})
	}
}

package sm

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"mellium.im/xmpp/stanza"
)

// shortcut is the fast path of a test: messages with a body only.
type shortcut struct {
	c  *client
	id string
}

func (s *shortcut) Scan(next []byte) int {
	if n := min(len(next), len("<message ")); string(next[:n]) != "<message "[:n] {
		return 0
	}
	const end = "</message>"
	n := bytes.Index(next, []byte(end))
	if n < 0 {
		return -1
	}
	_, id, _ := bytes.Cut(next, []byte("id='"))
	id, _, _ = bytes.Cut(id, []byte("'"))
	s.id = string(id)
	return n + len(end)
}

func (s *shortcut) Handle(m Handle) { s.c.taken <- taken{m, "fast " + s.id} }

// mustConnectFast is mustConnect with a fast path.
func mustConnectFast(t *testing.T, st *Stream, script func(*fake)) (*client, *fake) {
	t.Helper()
	f, nc := newFake(t)
	c, err := connect(t, st, nc, func() { script(f) })
	if err != nil {
		t.Fatal(err)
	}
	c.fast = &shortcut{c: c}
	return c.start(), f
}

// takeAll wants stanzas in this order, and their numbers one by one.
func (c *client) takeAll(first uint64, want ...string) []taken {
	c.t.Helper()
	var got []taken
	var ids []string
	for i := range want {
		m := c.take()
		if m.N != first+uint64(i) {
			c.t.Errorf("%s is number %d, want %d", m.id, m.N, first+uint64(i))
		}
		got, ids = append(got, m), append(ids, m.id)
	}
	if !slices.Equal(ids, want) {
		c.t.Errorf("got %v, want %v", ids, want)
	}
	return got
}

// What the server repeats after a resumption is not handed over again, and keeps its numbers.
func TestFastPathRepeats(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnectFast(t, st, (*fake).fresh)
	presence := "<presence id='p'/>"
	f.write(inbound(1) + presence + inbound(3) + inbound(4)[:50])
	first := c.takeAll(1, "fast 1", "p", "fast 3")
	first[0].Saved()
	f.expect("<a ", "h='1'")
	_ = f.nc.Close()
	c.end()
	c, f = mustConnectFast(t, st, func(f *fake) {
		if asked := f.resume(0); !strings.Contains(asked, "h='1'") {
			t.Errorf("asked %s", asked)
		}
	})
	f.write(presence + inbound(3) + inbound(4) + " " + inbound(5) + inbound(6))
	for _, m := range append(c.takeAll(4, "fast 4", "5", "fast 6"), first[1:]...) { // whitespace is the decoder's, and what it touches
		m.Saved()
	}
	f.until("h='6'")
}

// What cannot be kept now comes again, with all that stood behind it in the same read.
func TestFastPathRedo(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnectFast(t, st, (*fake).fresh)
	f.write(inbound(1) + inbound(2) + inbound(3))
	got := c.takeAll(1, "fast 1", "fast 2", "fast 3")
	got[2].Done()
	got[1].Redo()
	got[0].Saved()
	if e := c.end(); e.Err != ErrRedo {
		t.Fatalf("end %+v", e)
	}
	c, f = mustConnectFast(t, st, func(f *fake) { f.resume(0) })
	f.write(inbound(2) + inbound(3))
	for _, m := range c.takeAll(2, "fast 2", "fast 3") {
		m.Saved()
	}
	f.until("h='3'")
}

// A stanza that comes in many pieces, or has no end, is the decoder's.
func TestFastPathGivesUp(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnectFast(t, st, (*fake).fresh)
	for part := range slices.Chunk([]byte(inbound(1)), 5) {
		f.write(string(part))
	}
	large := strings.Replace(inbound(2), "hi", strings.Repeat("x", 2*bufferSize), 1)
	f.write(large + inbound(3))
	for _, m := range c.takeAll(1, "1", "2", "fast 3") {
		m.Saved()
	}
	f.until("h='3'")
	go func() { _, _ = io.WriteString(f.nc, "<message id='"+strings.Repeat("x", mostStanza)) }() // ends with the pipe
	if e := c.end(); !errors.Is(e.Err, ErrTooLarge) || st.Session().In != 4 {
		t.Errorf("end %+v, %d handled", e, st.Session().In)
	}
}

// Whose stream has another namespace has other stanzas.
func TestFastPathNamespace(t *testing.T) {
	if f := fastPathIn(stanza.NSServer, &shortcut{}); f != nil {
		t.Error("it is used")
	}
	if f := fastPathIn(stanza.NSClient, &shortcut{}); f == nil {
		t.Error("it is not used")
	}
}

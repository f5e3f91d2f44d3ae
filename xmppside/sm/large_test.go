package sm

import (
	"encoding/xml"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"mellium.im/xmlstream"
)

// heapBound is far above what a stanza of the largest size costs, and far below what its double would.
const heapBound = 96 << 20

// endless writes a text again and again until the client has had enough, and returns how much that was, and the largest
// heap meanwhile.
func (f *fake) endless(begin, again string) (bytes int, heap uint64) {
	chunk := strings.Repeat(again, 1+(64<<10)/len(again))
	_ = f.nc.SetWriteDeadline(time.Now().Add(2 * waitLimit))
	n, err := io.WriteString(f.nc, begin)
	for bytes = n; err == nil && bytes < 64<<20; bytes += n {
		n, err = io.WriteString(f.nc, chunk)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = max(heap, m.HeapAlloc)
	}
	return bytes, heap
}

// A server that goes on and on is not listened to, whatever it is that has no end.
func TestEndless(t *testing.T) {
	for name, c := range map[string]struct {
		begin, again string
		stanza       bool
	}{
		"text":         {"<message><body>", "x", true},
		"children":     {"<message>", "<a/>", true},
		"grandchilds":  {"<message><a>", "<b></b>", true},
		"nesting":      {"<message>", "<a>", true},
		"attributes":   {"<message><a", " a=''", true},
		"an attribute": {"<message id='", "x", true},
		"a name":       {"<message><", "x", true},
		"a comment":    {"<message><!--", "x", true},
		"CDATA":        {"<message><body><![CDATA[", "x", true},
		"an answer":    {"<iq type='result' id='1'><query xmlns='y'>", "<a b='c'/>", true},
		"a presence":   {"<presence><status>", "x", true},
		"whitespace":   {"", " ", false},
		"a nonza":      {"<r xmlns='urn:xmpp:sm:3'>", "<a/>", false},
		"its name":     {"<", "x", false},
		"an error":     {"<stream:error><text>", "x", false},
	} {
		t.Run(name, func(t *testing.T) {
			st := New(Config{}, State{})
			f, nc := newFake(t)
			client, err := connect(t, st, nc, f.fresh)
			if err != nil {
				t.Fatal(err)
			}
			client.during = func(m Handle, tr xmlstream.TokenReadEncoder, _ *xml.StartElement) {
				var all []xml.Token // as an owner would keep it
				for depth := 1; depth > 0; {
					tok, err := tr.Token()
					if err != nil {
						return
					}
					switch tok.(type) {
					case xml.StartElement:
						depth++
					case xml.EndElement:
						depth--
					}
					all = append(all, xml.CopyToken(tok))
				}
				runtime.KeepAlive(all)
				m.Done()
			}
			client.start()
			f.write(inbound("1"))
			client.take()
			bytes, heap := f.endless(c.begin, c.again)
			e := client.end()
			if !errors.Is(e.Err, ErrTooLarge) || bytes > mostStanza+256<<10 || heap > heapBound {
				t.Errorf("%v after %d bytes, with a heap of %d MiB", e.Err, bytes, heap>>20)
			}
			t.Logf("%d bytes, %d MiB", bytes, heap>>20)
			want := uint64(1)
			if c.stanza {
				want = 2 // passed over, or it would come again for ever
			}
			if got := st.Session().In; got != want {
				t.Errorf("%d stanzas are handled, want %d", got, want)
			}
		})
	}
}

// What is large, but not too large, comes whole.
func TestLarge(t *testing.T) {
	st := New(Config{}, State{})
	f, nc := newFake(t)
	c, err := connect(t, st, nc, f.fresh)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	c.during = func(m Handle, tr xmlstream.TokenReadEncoder, start *xml.StartElement) {
		got, _ = body(tr, start)
		m.Done()
	}
	c.start()
	for n := range uint64(3) {
		f.write("<message><body>" + strings.Repeat("x", mostStanza-100) + "</body></message>")
		c.take()
		if len(got) != mostStanza-100 {
			t.Errorf("%d: %d bytes", n, len(got))
		}
	}
}

// A stanza that is passed over is not asked for again by a process that resumes.
func TestPassedOver(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write(inbound("1"))
	c.take().Saved()
	f.endless("<message><body>", "x")
	c.end()
	n.wait(t, "saved", func(n *notes) bool { return len(n.saves) > 0 && n.saves[len(n.saves)-1].In == 2 })
	c, f = mustResume(t, st, "h='2'", 0)
	f.write(inbound("3"))
	if m := c.take(); m.N != 3 {
		t.Errorf("number %d", m.N)
	}
}

// What came before a stanza that is passed over may still be kept back by the owner: he is told, and then the server is.
func TestPassedOverBehindKept(t *testing.T) {
	var kept Handle
	st := New(Config{TooLarge: func() { kept.Done() }}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write(inbound("1"))
	kept = c.take().Handle
	done := make(chan struct{})
	go func() { defer close(done); f.endless("<message><body>", "x") }() // ends with the connection
	f.until("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	began := time.Now()
	if c.end(); time.Since(began) > tellWithin/2 {
		t.Errorf("the connection ends %v after that", time.Since(began))
	}
	<-done
}

// TestHostileNegotiation: what a server says of the session is not simply believed.
func TestHostileNegotiation(t *testing.T) {
	saved := State{Session: Session{ID: "st1", JID: "receiver@chat.test/relay", In: 1}}
	for name, c := range map[string]struct {
		saved State
		play  func(f *fake)
		want  error
		says  string
	}{
		"a name of 1,024 bytes": {State{}, func(f *fake) { hasty(strings.Repeat("x", mostID+1))(f) }, nil, "1024 bytes"},
		"a name of 200,000":     {State{}, func(f *fake) { hasty(strings.Repeat("x", 200_000))(f) }, nil, "200000 bytes"},
		"another's account": {State{}, func(f *fake) {
			f.authenticate(true)
			f.bindAs("admin@evil.test/x")
		}, ErrAccount, "admin@evil.test"},
		"another domain": {State{}, func(f *fake) {
			f.authenticate(true)
			f.bindAs("receiver@chat.test.evil/relay")
		}, ErrAccount, ""},
		"no account": {State{}, func(f *fake) {
			f.authenticate(true)
			f.bindAs("chat.test/relay")
		}, ErrAccount, ""},
		"another stream": {saved, func(f *fake) {
			f.authenticate(true)
			f.until("<resume ")
			f.write("<resumed xmlns='urn:xmpp:sm:3' previd='wrong' h='0'/>")
		}, ErrProtocol, "another stream"},
		"no stream": {saved, func(f *fake) {
			f.authenticate(true)
			f.until("<resume ")
			f.write("<resumed xmlns='urn:xmpp:sm:3' h='0'/>")
		}, ErrProtocol, "another stream"},
	} {
		t.Run(name, func(t *testing.T) {
			st := New(Config{Account: "receiver@chat.test"}, c.saved)
			f, nc := newFake(t)
			_, err := connect(t, st, nc, func() { c.play(f) })
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("login: %v", err)
			}
			if id := st.Session().ID; id != "" {
				t.Errorf("it would resume %.20s", id)
			}
			mustConnect(t, st, (*fake).fresh)
		})
	}
}

// A stream of another account is not resumed.
func TestAccountChanged(t *testing.T) {
	st := New(Config{Account: "receiver@chat.test"}, State{Session: Session{ID: "old", JID: "former@chat.test/relay"}})
	mustConnect(t, st, (*fake).fresh)
	if got := st.Session(); got.ID != "st1" || got.JID != "receiver@chat.test/relay" {
		t.Errorf("got %+v", got)
	}
}

// TestLongestName: a name of 1,023 bytes will do.
func TestLongestName(t *testing.T) {
	st := New(Config{}, State{})
	mustConnect(t, st, hasty(strings.Repeat("x", mostID)))
	if got := len(st.Session().ID); got != mostID {
		t.Errorf("%d bytes", got)
	}
}

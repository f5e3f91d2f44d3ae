package xmppside

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"chatrelay/internal/fix"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
	"chatrelay/xmppside/stanza/stanzatest"
)

// script is a connection to a server that lets us in, and then sends pieces, one a read, and hangs up. It takes all that it is
// told.
type script struct {
	net.Conn // nil

	mu     sync.Mutex // guards all below
	text   string
	step   int
	pieces []string
	closed bool
	change *sync.Cond
}

func newScript() *script {
	s := &script{}
	s.change = sync.NewCond(&s.mu)
	return s
}

// logins are what the server waits for, and what it answers.
var logins = []struct{ want, answer string }{
	{"<stream:stream", streamHead + "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"},
	{"</auth>", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"},
	{"<stream:stream", streamHead + "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>"},
	{"</iq>", "<iq type='result' id='%s'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>" + ownJID + "/chatrelay</jid></bind></iq>"},
	{"<enable ", "<enabled xmlns='urn:xmpp:sm:3' id='st1' resume='true'/>"},
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.step == len(logins) {
		return len(p), nil
	}
	s.text += string(p)
	if now := logins[s.step]; strings.Contains(s.text, now.want) {
		_, id, _ := strings.Cut(s.text, " id='")
		id, _, _ = strings.Cut(id, "'")
		s.pieces = append(s.pieces, strings.ReplaceAll(now.answer, "%s", id))
		s.text = ""
		s.step++
		s.change.Broadcast()
	}
	return len(p), nil
}

// begin makes it send.
func (s *script) begin(pieces []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pieces = append(append(s.pieces, pieces...), "")
	s.change.Broadcast()
}

func (s *script) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pieces) == 0 && !s.closed {
		s.change.Wait()
	}
	if s.closed || s.pieces[0] == "" {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change.Broadcast()
	return nil
}

func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// reading is what a login reads from a script: each stanza with its number, whether mellium saw it, and how it all ends.
func reading(t *testing.T, fast bool, pieces []string) (got []string, passed int) {
	t.Helper()
	st, nc := sm.New(sm.Config{}, sm.State{}), newScript()
	l := st.Connection(nc)
	defer l.Close()
	me := jid.MustParse(ownJID)
	sess, err := xmpp.NewSession(context.WithoutCancel(t.Context()), me.Domain(), me, nc, xmpp.Secure,
		xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
			return xmpp.StreamConfig{Features: []xmpp.StreamFeature{l.SASL(xmpp.SASL("", "pw", sasl.Plain)), l.Bind()}}
		}))
	if err != nil {
		t.Fatal(err)
	}
	note := func(m sm.Handle, e *stanza.Element) {
		got = append(got, fmt.Sprintf("%d: %s", m.N, show(e)))
		m.Done()
	}
	var path sm.FastPath
	if fast {
		path = newFastPath(ownJID, func(m sm.Handle, e *stanza.Element) { passed++; note(m, e) })
	}
	nc.begin(pieces)
	end := l.Serve(sess, func(m sm.Handle, r xmlstream.TokenReadEncoder, start *xml.StartElement) {
		sm.Void(r, start)
		if e, err := stanza.Read(r, start); err == nil {
			note(m, e)
		}
	}, path)
	return append(got, fmt.Sprintf("end: %d, %s, %s", st.Session().In, end.Condition, fix.Shape(end.Err))), passed
}

// show is all of an element.
func show(e *stanza.Element) string {
	kids := make([]string, len(e.Kids))
	for i, k := range e.Kids {
		kids[i] = show(k)
	}
	return fmt.Sprintf("%q%q%q%s", e.Name, e.Attr, e.Text, kids)
}

// alikeStreams wants a stream to be read as it is without the fast path, and returns how many stanzas took it.
func alikeStreams(t *testing.T, text string, size int) int {
	t.Helper()
	var pieces []string
	for piece := range slices.Chunk([]byte(text), max(size, 1)) {
		pieces = append(pieces, string(piece))
	}
	want, _ := reading(t, false, pieces)
	got, n := reading(t, true, pieces)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%q in pieces of %d bytes (-decoder +fast path): %s", text, size, d)
	}
	return n
}

// sizes of what one read returns: byte by byte, cut somewhere in each stanza, and several at a time.
var sizes = []int{1, 97, 400, 5000, 1 << 20}

// What is read past the decoder is what it would have read, with the same numbers, whatever stands between and however it comes.
func TestFastPath(t *testing.T) {
	var all strings.Builder
	for _, name := range []string{"Prosody", "in a room", "of our own account", "two senders"} {
		all.WriteString(stanzatest.Plain[name] + stanzatest.Plain["ejabberd"] + "<presence from='1001@chat.test/a'/><r xmlns='urn:xmpp:sm:3'/>" + stanzatest.Plain["stored"] +
			"<iq type='get' id='1' from='1001@chat.test/a'><ping xmlns='urn:xmpp:ping'/></iq> \n" + stanzatest.Plain["numbers"] + stanzatest.Other["CDATA"] + stanzatest.Other["no type"] +
			"<message type='chat'><body>" + strings.Repeat("x", 20_000) + "</body></message><a xmlns='urn:xmpp:sm:3' h='0'/>" + stanzatest.Plain["two bodies"])
	}
	const scannable = 4 * 4 // all but the one behind whitespace
	for _, size := range sizes {
		n := alikeStreams(t, all.String(), size)
		if size >= 400 && n != scannable {
			t.Errorf("in pieces of %d bytes %d stanzas took the fast path, want %d", size, n, scannable)
		}
	}
	for name, text := range stanzatest.Other { // many of them end the stream
		for _, size := range sizes[1:] {
			t.Run(name, func(t *testing.T) {
				alikeStreams(t, stanzatest.Plain["ejabberd"]+text+stanzatest.Plain["ejabberd"]+"</stream:stream>", size)
			})
		}
	}
	half := stanzatest.Plain["Prosody"][:200]
	if n := alikeStreams(t, half, 50); n != 0 {
		t.Errorf("half a stanza was taken")
	}
}

// FuzzFastPath holds the whole reading of a stream to the decoder's.
func FuzzFastPath(f *testing.F) {
	for name, text := range stanzatest.Other {
		f.Add(stanzatest.Plain["ejabberd"]+text+stanzatest.Plain["in a room"], len(name)*10)
	}
	f.Fuzz(func(t *testing.T, text string, size int) { alikeStreams(t, text, size) })
}

package sm

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
)

const waitLimit = 10 * time.Second

// fake is a server on the other end of a pipe that says what the test tells it to.
type fake struct {
	t   *testing.T
	nc  net.Conn
	got chan string // whole elements, stream headers and ends
}

func newFake(t *testing.T) (*fake, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	f := &fake{t: t, nc: theirs, got: make(chan string, 4096)}
	done := make(chan struct{})
	go func() { defer close(done); f.read() }() // ends with the pipe
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close(); <-done })
	return f, ours
}

func (f *fake) read() {
	defer close(f.got)
	var s scanner
	var part []byte
	buf := make([]byte, 4096)
	for {
		n, err := f.nc.Read(buf)
		for _, b := range buf[:n] {
			part = append(part, b)
			if strings.HasPrefix(string(part), "<?xml") && b == '>' && s.depth > 0 {
				s = scanner{}
				for _, b := range part {
					s.step(b)
				}
				part = nil
				continue
			}
			ev := s.step(b)
			header := s.depth == 1 && s.state == inText && b == '>'
			if ev == closed || ev == streamEnd || header {
				if p := strings.TrimSpace(string(part)); p != "" && !strings.HasPrefix(p, "<?xml version") || header {
					f.got <- p
				}
				part = nil
			}
		}
		if err != nil {
			return
		}
	}
}

// next is the next element from the client.
func (f *fake) next() string {
	f.t.Helper()
	select {
	case s, ok := <-f.got:
		if !ok {
			f.t.Fatal("the client closed the connection")
		}
		return s
	case <-time.After(waitLimit):
		f.t.Fatal("nothing comes from the client")
	}
	return ""
}

// expect wants an element that holds all the parts.
func (f *fake) expect(parts ...string) string {
	f.t.Helper()
	s := f.next()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			f.t.Fatalf("got %s, want one with %s", s, p)
		}
	}
	return s
}

// until skips to an element that holds part, and returns all up to it.
func (f *fake) until(part string) []string {
	f.t.Helper()
	var all []string
	for {
		s := f.next()
		all = append(all, s)
		if strings.Contains(s, part) {
			return all
		}
	}
}

func (f *fake) writef(format string, args ...any) {
	f.t.Helper()
	f.write(fmt.Sprintf(format, args...))
}

func (f *fake) write(s string) {
	f.t.Helper()
	_ = f.nc.SetWriteDeadline(time.Now().Add(waitLimit))
	if _, err := f.nc.Write([]byte(s)); err != nil {
		f.t.Errorf("fake: %v", err)
	}
}

const fakeHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='chat.test' id='s1' version='1.0'>`

// authenticate plays the server's side up to the second features.
func (f *fake) authenticate(withSM bool) {
	f.t.Helper()
	f.until("stream:stream")
	f.write(fakeHeader + `<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>`)
	f.until("<auth")
	f.write(`<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>`)
	sm := ""
	if withSM {
		sm = `<sm xmlns='urn:xmpp:sm:3'/>`
	}
	f.write(fakeHeader + `<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>` + sm + `</stream:features>`)
}

// bind answers the bind request.
func (f *fake) bind() { f.bindAs("receiver@chat.test/relay") }

func (f *fake) bindAs(full string) {
	f.t.Helper()
	req := f.until("xmpp-bind")
	iq := req[len(req)-1]
	_, rest, _ := strings.Cut(iq, "id='")
	id, _, _ := strings.Cut(rest, "'")
	f.writef(`<iq type='result' id='%s'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>%s</jid></bind></iq>`, id, full)
}

// fresh plays a login that binds and enables.
func (f *fake) fresh() {
	f.t.Helper()
	f.authenticate(true)
	f.bind()
	f.expect("<enable ", "resume='true'")
	f.write(`<enabled xmlns='urn:xmpp:sm:3' id='st1' resume='true' max='300' location='[::1]:5222'/>`)
}

// resume plays a login that resumes with h.
func (f *fake) resume(h int) string {
	f.t.Helper()
	f.authenticate(true)
	req := f.until("<resume ")
	f.writef(`<resumed xmlns='urn:xmpp:sm:3' previd='st1' h='%d'/>`, h)
	return req[len(req)-1]
}

// inbound is a message from the server.
func inbound(id any) string {
	return fmt.Sprintf("<message from='1001@chat.test/x' id='%v'><body>hi</body></message>", id)
}

// taken is a stanza that the handler was given.
type taken struct {
	Handle
	id string
}

// client is one link in a test.
type client struct {
	t      *testing.T
	st     *Stream
	l      *Connection
	sess   *xmpp.Session
	ended  chan End
	taken  chan taken
	fast   FastPath
	during func(m Handle, t xmlstream.TokenReadEncoder, start *xml.StartElement)
}

// connect logs in over nc while script plays the server.
func connect(t *testing.T, st *Stream, nc net.Conn, script func()) (*client, error) {
	t.Helper()
	l := st.Connection(nc)
	t.Cleanup(l.Close)
	defer time.AfterFunc(6*waitLimit, l.Close).Stop()
	played := make(chan struct{})
	go func() { defer close(played); script() }()
	me := jid.MustParse("receiver@chat.test/relay")
	sess, err := xmpp.NewSession(context.WithoutCancel(t.Context()), me.Domain(), me, nc, xmpp.Secure,
		xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
			return xmpp.StreamConfig{Features: []xmpp.StreamFeature{l.SASL(xmpp.SASL("", "pw", sasl.Plain)), l.Bind()}}
		}))
	if err != nil {
		l.Close()
	}
	<-played
	return &client{t: t, st: st, l: l, sess: sess, taken: make(chan taken, 1024), ended: make(chan End, 1)}, err
}

// start serves and opens.
func (c *client) start() *client {
	go func() {
		c.ended <- c.l.Serve(c.sess, func(m Handle, t xmlstream.TokenReadEncoder, start *xml.StartElement) {
			if c.during != nil {
				c.during(m, t, start)
			}
			c.taken <- taken{m, attr(start, "id")}
		}, c.fast)
	}()
	c.st.Open(c.l)
	return c
}

// mustConnect is connect and start for a login that works.
func mustConnect(t *testing.T, st *Stream, script func(*fake)) (*client, *fake) {
	t.Helper()
	f, nc := newFake(t)
	c, err := connect(t, st, nc, func() { script(f) })
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	return c.start(), f
}

// mustResume is mustConnect for a stream that is resumed with h; asked must be in the request.
func mustResume(t *testing.T, st *Stream, asked string, h int) (*client, *fake) {
	t.Helper()
	var got string
	c, f := mustConnect(t, st, func(f *fake) { got = f.resume(h) })
	if !strings.Contains(got, asked) {
		t.Errorf("asked %s, want %s", got, asked)
	}
	return c, f
}

func (c *client) take() taken {
	c.t.Helper()
	select {
	case m := <-c.taken:
		return m
	case <-time.After(waitLimit):
		c.t.Fatal("nothing is handed over")
	}
	return taken{}
}

func (c *client) end() End {
	c.t.Helper()
	select {
	case e := <-c.ended:
		return e
	case <-time.After(waitLimit):
		c.t.Fatal("the link does not end")
	}
	return End{}
}

// listening waits until the reader waits for bytes, or the connection is over: so that time passes for it.
func (c *client) listening() {
	for c.l.blocked.Load() == 0 && c.l.Context().Err() == nil {
		runtime.Gosched()
	}
}

func (c *client) send(id string) uint64 {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), waitLimit)
	defer cancel()
	n, err := c.st.Send(ctx, outbound(id), id)
	if err != nil {
		c.t.Fatalf("Send: %v", err)
	}
	return n
}

// notes remembers what Acked and the journal were told.
type notes struct {
	mu     sync.Mutex
	acked  []string
	bound  []string // tag@stream:number
	saves  []Session
	ticket uint64
	done   uint64 // committed
	failed map[uint64]bool
	moved  chan struct{} // closed at each change
	auto   bool          // commit at once
	asked  uint64        // newest ticket that somebody waits for
}

func newNotes(auto bool) *notes {
	return &notes{auto: auto, moved: make(chan struct{}), failed: map[uint64]bool{}}
}

// commitAll commits everything from now on.
func (b *notes) commitAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.auto = true
}

func (b *notes) Acked(done []Stanza) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range done {
		b.acked = append(b.acked, s.Tag.(string))
	}
	b.stir()
}

func (b *notes) stir() { close(b.moved); b.moved = make(chan struct{}) }

func (b *notes) next() uint64 {
	b.ticket++
	if b.auto {
		b.done = b.ticket
	}
	b.stir()
	return b.ticket
}

func (b *notes) Bind(s Stanza, id string) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bound = append(b.bound, fmt.Sprintf("%v@%s:%d", s.Tag, id, s.N))
	return b.next()
}

func (b *notes) Save(s Session) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saves = append(b.saves, s)
	return b.next()
}

var errCommit = errors.New("no commit")

func (b *notes) Wait(ctx context.Context, ticket uint64) error {
	for {
		b.mu.Lock()
		if b.asked < ticket {
			b.asked = ticket
			b.stir()
		}
		ok, bad, moved := b.done >= ticket, b.failed[ticket], b.moved
		b.mu.Unlock()
		switch {
		case bad:
			return errCommit
		case ok:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// commit makes all tickets up to now committed; the failed ones stay so.
func (b *notes) commit(failed ...uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range failed {
		b.failed[f] = true
	}
	b.done = b.ticket
	b.stir()
}

// wait waits until f is true of the notes.
func (b *notes) wait(t *testing.T, what string, f func(*notes) bool) {
	t.Helper()
	timeout := time.After(waitLimit)
	for {
		b.mu.Lock()
		ok, moved := f(b), b.moved
		b.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-moved:
		case <-timeout:
			b.mu.Lock()
			defer b.mu.Unlock()
			t.Fatalf("never: %s (acked %v, bound %v, saves %v)", what, b.acked, b.bound, b.saves)
		}
	}
}

// waiting waits until somebody waits for the newest ticket, which it returns.
func (b *notes) waiting(t *testing.T, what string) (ticket uint64) {
	t.Helper()
	b.wait(t, what+" is waited for", func(b *notes) bool { ticket = b.ticket; return b.asked == b.ticket })
	return ticket
}

func (b *notes) waitAcked(t *testing.T, want ...string) {
	t.Helper()
	b.wait(t, fmt.Sprintf("acked %v", want), func(b *notes) bool { return len(b.acked) >= len(want) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.acked, want) {
		t.Fatalf("acked %v, want %v", b.acked, want)
	}
}

// tags are the tags of stanzas.
func tags(ss []Stanza) (out []string) {
	for _, s := range ss {
		out = append(out, s.Tag.(string))
	}
	return out
}

// testClock is time that the test drives.
type testClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
	set    chan struct{} // capacity 1: a timer was set
	during func()        // called before each step of drive
}

func newTestClock() *testClock {
	return &testClock{now: time.Unix(1e9, 0), timers: map[chan time.Time]time.Time{}, set: make(chan struct{}, 1)}
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	c.timers[ch] = c.now.Add(d)
	select {
	case c.set <- struct{}{}:
	default:
	}
	return ch
}

// drive lets time pass, no faster than somebody looks, until done.
func (c *testClock) drive(t *testing.T, step time.Duration, done <-chan struct{}) {
	t.Helper()
	timeout := time.After(waitLimit)
	for {
		select {
		case <-done:
			return
		case <-timeout:
			t.Fatal("nothing happens however much time passes")
		case <-c.set:
			if c.during != nil {
				c.during()
			}
			c.advance(step)
		}
	}
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for ch, at := range c.timers {
		if !at.After(c.now) {
			ch <- c.now
			delete(c.timers, ch)
		}
	}
	if len(c.timers) > 0 {
		select {
		case c.set <- struct{}{}:
		default:
		}
	}
}

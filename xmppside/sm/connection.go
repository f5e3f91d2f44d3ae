package sm

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mellium.im/xmpp"

	"chatrelay/internal/wait"
)

// Connection is one connection that carries a Stream. Its life: SASL and Bind among the features of a login,
// then Serve, once.
type Connection struct {
	st        *Stream
	nc        net.Conn   // bare: closing it ends everything
	transport *transport // above TLS; set by the SASL feature
	ctx       context.Context
	cancel    context.CancelFunc
	wake      wait.Signal  // the flusher has something to look at
	wakeGate  wait.Signal  // there is a newer ticket
	heard     atomic.Int64 // when the last byte came, Unix ns of the stream's clock
	idle      atomic.Int64 // ns that the reader has waited for bytes since the stream is ready
	blocked   atomic.Int64 // since when it waits, Unix ns of the stream's clock; 0: it does not
	handler   Handler

	// Guarded by st.mu.
	ready      bool // negotiated
	records    bool // a write is a TLS record
	managed    bool // with XEP-0198
	resumed    bool // not bound anew
	verifying  bool // resumed, and no <a/> yet: stanzas are held back
	dead       bool
	err        error  // why it is dead
	refuse     bool   // Redo: nothing more is handed over
	nonzaBytes []byte // to be written, not counted
	owesA      bool   // <r/> came
	gaveWay    bool   // a stanza went first last time
	acked      uint64 // last <a h>
	ackedOut   uint64 // the same, of those that have left
	wantsR     bool   // ask whatever was asked before
	awaiting   bool   // asked, no answer yet
	unread     unread // of what the server has read
	asked      uint64 // number of the last stanza that was asked for
	askedAt    time.Time
	fence      fence
	waiting    time.Time // since when the gate waits; zero: it does not
	final      []byte    // written last
	finalErr   error     // why
	closed     bool      // final is on its way
}

func newConnection(s *Stream, nc net.Conn) *Connection {
	ctx, cancel := context.WithCancel(context.Background())
	return &Connection{
		st: s, nc: nc, ctx: ctx, cancel: cancel,
		wake:     wait.NewSignal(),
		wakeGate: wait.NewSignal(),
	}
}

// Enabled tells, after the login, whether the server has XEP-0198. Without it stanzas are acknowledged by
// pings, and a connection that ends makes all unacknowledged ones lost.
func (l *Connection) Enabled() bool {
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	return l.managed
}

// Resumed tells, after the login, whether the stream went on; else it is a fresh one: no presence was
// sent, no room is joined, and Stream.Lost may have something.
func (l *Connection) Resumed() bool {
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	return l.resumed
}

// Context ends with the connection.
func (l *Connection) Context() context.Context { return l.ctx }

// Close ends the connection at once, without a word, so that the stream can be resumed.
func (l *Connection) Close() { l.fail(net.ErrClosed) }

// fail ends the connection; the first reason counts.
func (l *Connection) fail(err error) {
	s := l.st
	s.mu.Lock()
	if !l.dead {
		l.dead, l.err = true, err
		if s.connection == l {
			s.open = false
		}
		s.broadcast()
	}
	s.mu.Unlock()
	l.cancel()
	_ = l.nc.Close() // all that could be said is said by err
}

// current tells whether l may act for the stream. s.mu is held.
func (l *Connection) current() bool { return l.st.connection == l && !l.dead }

// Serve reads the session until the connection is over and hands each stanza to fast, if that is not nil and reads its kind, else to h. When it returns, all
// goroutines of the connection have ended. The owner calls Stream.Open meanwhile.
func (l *Connection) Serve(sess *xmpp.Session, h Handler, fast FastPath) End {
	l.st.mu.Lock()
	ready := l.ready
	l.st.mu.Unlock()
	if !ready {
		l.fail(errors.New("sm: the session was not negotiated with Connection.SASL and Connection.Bind"))
		return l.end()
	}
	l.handler = h
	var wg sync.WaitGroup
	wg.Go(l.flush)
	wg.Go(l.watch)
	if l.st.cfg.Journal != nil {
		wg.Go(l.waitCommits)
	}
	l.replay()
	l.transport.fast = fastPathIn(sess.In().XMLNS, fast)
	l.fail(sess.Serve(xmpp.HandlerFunc(l.handle)))
	wg.Wait()
	return l.end()
}

// end draws the balance.
func (l *Connection) end() End {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	e := End{Err: l.err}
	if l.transport != nil {
		e.Condition, e.Text = streamError(l.transport.errRaw)
	}
	if s.connection != l {
		return e
	}
	s.cut()
	e.Suspects = tagged(s.out.queue[:s.out.next])
	if l.verifying && malformed(e.Condition) {
		e.Err = fmt.Errorf("%w: %s", ErrBroken, e.Condition)
	}
	if s.sess.ID == "" {
		s.giveUp()
	}
	if errors.Is(e.Err, ErrBroken) || errors.Is(e.Err, ErrProtocol) {
		s.forget()
	}
	e.Resumable = s.sess.ID != ""
	return e
}

// malformed tells whether a stream error says that the server could not parse us.
func malformed(condition string) bool {
	switch condition {
	case "not-well-formed", "xml-not-well-formed", "invalid-xml", "bad-format", "restricted-xml", "invalid-namespace", "bad-namespace-prefix":
		return true
	}
	return false
}

// streamError reads condition and text out of a <stream:error/>, whatever else is in it.
func streamError(raw []byte) (condition, text string) {
	const ns = "urn:ietf:params:xml:ns:xmpp-streams"
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.Strict = false
	for {
		tok, err := d.Token()
		if err != nil {
			return condition, text
		}
		start, ok := tok.(xml.StartElement)
		switch {
		case !ok || start.Name.Space != ns:
		case start.Name.Local == "text":
			if d.DecodeElement(&text, &start) != nil {
				return condition, text
			}
		case condition == "":
			condition = start.Name.Local
		}
	}
}

package sm

import (
	"bytes"
	"encoding/xml"
	"errors"
	"strconv"

	"mellium.im/xmlstream"
	"mellium.im/xmpp/stanza"
)

// Handler is given each inbound stanza once, in order, on the goroutine that reads. It may read t and
// answer through t as a mellium handler does. Each Handle ends in Done, Saved or Redo, at any time and from
// any goroutine; until then the server keeps the stanza.
type Handler func(m Handle, t xmlstream.TokenReadEncoder, start *xml.StartElement)

// Handle is one inbound stanza's place in the stream. The methods of the zero Handle do nothing.
type Handle struct {
	N     uint64 // 0: it came before the server began to count
	st    *Stream
	in    *Session
	early *early // that stanza; nil: a counted one
}

// Session is what is to be saved in the transaction that makes this stanza durable.
func (m Handle) Session() Session {
	if m.in == nil {
		return Session{}
	}
	sess := *m.in
	sess.In = m.N
	return sess
}

// Done says that the stanza is dealt with and has no record of its own.
func (m Handle) Done() {
	if m.early != nil {
		m.st.doneEarly(m.early)
		return
	}
	m.with(func(s *Stream) { s.in.settle(m.N) })
}

// Saved says that the stanza is dealt with and that Handle.Session was committed with it.
func (m Handle) Saved() {
	if m.early != nil {
		m.st.doneEarly(m.early)
		return
	}
	m.with(func(s *Stream) { s.in.saved(m.N) })
}

// Redo says that the stanza could not be kept: the connection ends, and this stanza and all after it that are
// not done are handed over again.
func (m Handle) Redo() {
	if m.early != nil {
		m.st.redoEarly(m.early)
		return
	}
	var l *Connection
	m.with(func(s *Stream) {
		s.rewind(m.N)
		l = s.connection
		l.refuse = true
	})
	if l != nil {
		l.fail(ErrRedo)
	}
}

// Answer queues a stanza of the owner's that deals with this one: it is done when the server has the answer, so that
// it comes again if the stream ends before. ErrDown: not taken, nothing has changed.
func (m Handle) Answer(raw []byte) (err error) {
	if m.early != nil {
		return m.st.answerEarly(m.early, raw)
	}
	err = ErrDown
	m.with(func(s *Stream) {
		if it := s.answer(raw); it != nil {
			it.settle, err = m.N, nil
		}
	})
	return err
}

// Reply queues the answer to somebody's question, beside the window. False: it is dropped, as so many answers are not
// acknowledged, or the stream that would carry it is over.
func (l *Connection) Reply(raw []byte, most int) bool {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection != l || s.out.replies >= most {
		return false
	}
	it := s.answer(raw)
	if it == nil {
		return false
	}
	it.reply = true
	s.out.replies++
	return true
}

// answer queues a stanza of the owner's, beside the window; nil: the stream that would carry it is over. s.mu is held.
func (s *Stream) answer(raw []byte) *item {
	l := s.connection
	if s.over || l == nil || l.closed || l.dead && s.sess.ID == "" {
		return nil
	}
	it := s.out.add(raw, nil)
	l.wake.Set()
	return it
}

// with does f unless the stream has got another name since.
func (m Handle) with(f func(*Stream)) {
	if m.st == nil || m.in == nil {
		return
	}
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	if m.st.sess == m.in {
		f(m.st)
		m.st.progress()
	}
}

// handle is the session's mellium handler. It never returns an error: that would end the stream for good.
func (l *Connection) handle(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	switch {
	case start.Name.Space == NS:
		l.nonza(start)
		return nil
	case !stanza.Is(start.Name, l.fence.space()):
		return nil
	}
	n := l.transport.started
	l.transport.entered = n
	m, ok := l.handOver(n)
	switch {
	case !ok:
		void(t, start)
	case l.fenced(start):
		void(t, start)
		m.Done()
		tellShared(l.st)
	case yields(l, start):
		void(t, start) // mellium's answer would have no sender, for which the server ends the stream of a component
		m.Done()
	default:
		l.handler(m, t, start)
	}
	return nil
}

// handOver notes that stanza n is handed over. Repeats after a resumption are not, nor is anything once the
// connection is over.
func (l *Connection) handOver(n uint64) (Handle, bool) {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.current() || l.refuse || n <= s.in.handed {
		return Handle{}, false
	}
	s.in.handed = n
	return Handle{N: n, st: s, in: s.sess}, true
}

// bypass notes that stanza n was read, but not by the handler.
func (l *Connection) bypass(n uint64) {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.current() && !l.refuse {
		s.in.bypass(n)
		s.progress()
	}
}

// finish notes that stanza n was read to its end.
func (l *Connection) finish(n uint64) {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection == l && !l.refuse {
		s.in.finish(n)
		s.progress()
	}
}

// nonza takes <r/> and <a/>.
func (l *Connection) nonza(start *xml.StartElement) {
	s := l.st
	s.mu.Lock()
	if !l.current() || !l.managed {
		s.mu.Unlock()
		return
	}
	var err error
	switch start.Name.Local {
	case "r": // XEP-0198 §4: answered as soon as possible, whatever there is to tell
		l.owesA = true
	case "a":
		err = l.answer(attr(start, "h"))
	}
	l.wake.Set()
	s.mu.Unlock()
	if err != nil {
		l.rejectCount(err)
	}
}

// answer takes the h of an <a/>. s.mu is held.
func (l *Connection) answer(h string) error {
	n, err := strconv.ParseUint(h, 10, 32)
	if err != nil {
		return errors.Join(ErrProtocol, err)
	}
	done, err := l.st.out.ack(uint32(n))
	if err != nil {
		return err
	}
	l.awaiting, l.verifying = false, false
	l.unread.answered(l.st.out.acked, l.st.cfg.Clock.Now())
	l.st.confirmed(done)
	return nil
}

// fenced tells whether a stanza answers a ping of ours; result or error, it comes behind all that we sent
// before.
func (l *Connection) fenced(start *xml.StartElement) bool {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	n := l.fence.number(start, s.sess.JID)
	if n == 0 || n > s.out.written() {
		return false
	}
	l.awaiting = false
	if missing := l.fence.pingBack(n); l.fence.component != "" {
		s.shared.heard(missing)
	}
	s.confirmed(s.out.drop(n))
	l.wake.Set()
	return true
}

const voidAttr = "sm-void"

// Void is for a handler that gives no answer, or gives it by Connection.Reply: mellium would answer by itself.
func Void(t xmlstream.TokenReadEncoder, start *xml.StartElement) { void(t, start) }

// void keeps mellium from answering a request that nobody handles, by an answer that conn drops: a
// repeated request was answered when it was handed over. Whether something is a request is mellium's to say: it looks at attributes of
// any namespace, which anybody may set, and ends the stream over an address among them that is none.
func void(t xmlstream.TokenReadEncoder, start *xml.StartElement) {
	id, typ := requestOf(start)
	if start.Name.Local != "iq" || typ != string(stanza.GetIQ) && typ != string(stanza.SetIQ) {
		return
	}
	iq := xml.StartElement{Name: xml.Name{Local: "iq"}, Attr: []xml.Attr{
		{Name: xml.Name{Local: "id"}, Value: id},
		{Name: xml.Name{Local: "type"}, Value: string(stanza.ResultIQ)},
		{Name: xml.Name{Local: voidAttr}, Value: "1"},
	}}
	if t.EncodeToken(iq) == nil {
		_ = t.EncodeToken(iq.End()) // the connection is over then, and Serve will say so
	}
}

// requestOf is what mellium 0.23 takes for id and type of a stanza (getIDTyp).
func requestOf(start *xml.StartElement) (id, typ string) {
	hasID, hasType := false, false
	for _, a := range start.Attr {
		switch a.Name.Local {
		case "id":
			id, hasID = a.Value, true
		case "type":
			typ, hasType = a.Value, true
		}
		if hasID && hasType {
			break
		}
	}
	return id, typ
}

// isVoid recognises such an answer as encoding/xml writes it. Text cannot look like it: its quotes are escaped.
func isVoid(part []byte) bool {
	return bytes.HasSuffix(part, []byte(" "+voidAttr+`="1"></iq>`))
}

// readOnly is what a handler gets for a stanza that came before the stream was ready.
type readOnly struct{ xml.TokenReader }

func (readOnly) EncodeToken(xml.Token) error               { return ErrDown }
func (readOnly) Encode(any) error                          { return ErrDown }
func (readOnly) EncodeElement(any, xml.StartElement) error { return ErrDown }

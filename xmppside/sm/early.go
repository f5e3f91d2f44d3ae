package sm

import (
	"encoding/xml"
	"errors"
	"slices"

	"mellium.im/xmlstream"
)

// mostEarly is how many bytes early messages may cost: a server has no reason to send much before a session is used.
const mostEarly = 16 << 20

// tokenCost is what a token costs besides its text, about.
const tokenCost = 128

var errEarly = errors.New("sm: the server sends too much before <enabled/>")

// early is a message that came between bind and <enabled/>. The server does not count it and brings it only once, so it
// is kept until it is dealt with, whatever becomes of the connection.
type early struct {
	tokens []xml.Token
	cost   int
	handed bool // the owner has it
}

// costOf is what it costs to keep a token, in bytes.
func costOf(tok xml.Token) int {
	n := tokenCost
	switch t := tok.(type) {
	case xml.StartElement:
		n += len(t.Name.Space) + len(t.Name.Local)
		for _, a := range t.Attr {
			n += tokenCost + len(a.Name.Space) + len(a.Name.Local) + len(a.Value)
		}
	case xml.EndElement:
		n += len(t.Name.Space) + len(t.Name.Local)
	case xml.CharData:
		n += len(t)
	case xml.Comment:
		n += len(t)
	}
	return n
}

// holdEarly keeps a message for whoever serves next.
func (s *Stream) holdEarly(tokens []xml.Token, cost int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.earlyCost+cost > mostEarly {
		return errEarly
	}
	s.earlyCost += cost
	s.early = append(s.early, &early{tokens: tokens, cost: cost})
	return nil
}

// replay hands over what came before counting began.
func (l *Connection) replay() {
	for e := l.nextEarly(); e != nil; e = l.nextEarly() {
		start, ok := e.tokens[0].(xml.StartElement)
		if !ok {
			continue
		}
		i := 0
		r := xmlstream.ReaderFunc(func() (xml.Token, error) {
			if i++; i < len(e.tokens) {
				return e.tokens[i], nil
			}
			return nil, errEnd
		})
		l.handler(Handle{st: l.st, early: e}, &readOnly{r}, &start)
	}
}

// nextEarly is the next one to be handed over.
func (l *Connection) nextEarly() *early {
	s := l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.current() || l.refuse {
		return nil
	}
	for _, e := range s.early {
		if !e.handed {
			e.handed = true
			return e
		}
	}
	return nil
}

// settleEarly forgets one that is dealt with. s.mu is held.
func (s *Stream) settleEarly(e *early) {
	if i := slices.Index(s.early, e); i >= 0 {
		s.early = slices.Delete(s.early, i, i+1)
		s.earlyCost -= e.cost
		s.broadcast()
	}
}

// doneEarly is Handle.Done of an early message.
func (s *Stream) doneEarly(e *early) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleEarly(e)
}

// redoEarly is Handle.Redo of an early message. All that is counted came behind it.
func (s *Stream) redoEarly(e *early) {
	s.mu.Lock()
	var l *Connection
	if slices.Contains(s.early, e) {
		e.handed = false
		s.rewind(s.in.doneTo + 1)
		if l = s.connection; l != nil {
			l.refuse = true
		}
	}
	s.mu.Unlock()
	if l != nil {
		l.fail(ErrRedo)
	}
}

// answerEarly is Handle.Answer of an early message.
func (s *Stream) answerEarly(e *early, raw []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.answer(raw)
	if it == nil {
		return ErrDown
	}
	it.early = e
	return nil
}

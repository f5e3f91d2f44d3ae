package sm

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"

	"chatrelay/internal/wait"
)

// mostID is how long the server's name for a stream may be: it is kept with each stanza that is under way.
const mostID = 1023

const nsBind = "urn:ietf:params:xml:ns:xmpp-bind"

var errEnd = io.EOF

type negotiation = func(context.Context, *xmpp.Session, any) (xmpp.SessionState, io.ReadWriter, error)

// afterwards puts the counting connection above whatever f leaves.
func (l *Connection) afterwards(f negotiation) negotiation {
	return func(ctx context.Context, sess *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
		mask, _, err := f(ctx, sess, data)
		if err != nil || mask&xmpp.Authn == 0 {
			return mask, nil, err
		}
		l.transport = &transport{Conn: sess.Conn(), connection: l}
		return mask, l.transport, nil
	}
}

// Bind is the feature that takes the place of xmpp.BindResource. Mellium negotiates nothing after bind, so
// resuming and enabling are part of it (XEP-0198 §3, §5).
func (l *Connection) Bind() xmpp.StreamFeature {
	f := xmpp.BindResource()
	f.Negotiate = func(_ context.Context, sess *xmpp.Session, _ any) (xmpp.SessionState, io.ReadWriter, error) {
		if l.transport == nil || sess.Conn() != l.transport {
			return 0, nil, errors.New("sm: Connection.SASL is not among the features")
		}
		r := sess.TokenReader()
		defer r.Close() // it only unlocks
		if err := (&login{l: l, sess: sess, d: xml.NewTokenDecoder(r)}).run(); err != nil {
			return 0, nil, fmt.Errorf("sm: login: %w", err)
		}
		return xmpp.Ready, nil, nil
	}
	return f
}

// login is one negotiation.
type login struct {
	l    *Connection
	sess *xmpp.Session
	d    *xml.Decoder
}

func (g *login) run() error {
	_, offered := g.sess.Feature(NS)
	if !offered {
		return g.fresh(false)
	}
	old := g.l.st.Session()
	if old.ID != "" && g.l.st.account(old.JID) {
		if resumed, err := g.resume(old); resumed || err != nil {
			return err
		}
	}
	return g.fresh(true)
}

// account tells whether a full JID is of our account.
func (s *Stream) account(full string) bool {
	bare, _, _ := strings.Cut(full, "/")
	return s.cfg.Account == "" || bare == s.cfg.Account
}

// resume asks for the old stream (XEP-0198 §5). When it is refused the same stream goes on with bind.
func (g *login) resume(old Session) (bool, error) {
	var id strings.Builder
	if err := xml.EscapeText(&id, []byte(old.ID)); err != nil {
		return false, err
	}
	if err := g.write("<resume xmlns='" + NS + "' h='" + strconv.FormatUint(uint64(uint32(old.In)), 10) + "' previd='" + id.String() + "'/>"); err != nil {
		return false, err
	}
	start, err := g.next(NS)
	if err != nil {
		return false, err
	}
	h, err := strconv.ParseUint(attr(&start, "h"), 10, 32)
	switch start.Name.Local {
	case "resumed":
		if err != nil {
			return false, fmt.Errorf("resumed: %w", err)
		}
		if got := attr(&start, "previd"); got != old.ID {
			g.l.st.Forget()
			return false, fmt.Errorf("%w: it resumes another stream than the one we asked for", ErrProtocol)
		}
		return true, g.resumed(old, uint32(h))
	case "failed":
		if err != nil {
			return false, nil // no h: nobody knows what arrived
		}
		return false, g.l.st.refused(uint32(h))
	}
	return false, fmt.Errorf("unexpected <%s/> in answer to <resume/>", start.Name.Local)
}

// refused uses the h of <failed/>: what is beyond it did not arrive.
func (s *Stream) refused(h uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	done, _, err := s.out.resumed(h)
	if err != nil {
		return nil // a count that cannot be right is as good as none
	}
	s.acked(done)
	return nil
}

func (g *login) resumed(old Session, h uint32) error {
	me, err := jid.Parse(old.JID)
	if err != nil {
		return err
	}
	s := g.l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	if !g.l.current() {
		return ErrDown
	}
	done, moved, err := s.out.resumed(h)
	if err != nil {
		s.forget()
		return err
	}
	s.acked(done)
	s.repace()
	for _, it := range moved {
		s.bind(it)
	}
	g.l.start(old.In)
	g.l.managed, g.l.resumed, g.l.verifying, g.l.wantsR = true, true, true, true
	g.l.acked, g.l.asked = old.In, s.out.acked
	g.sess.UpdateAddr(me)
	return nil
}

// start makes the connection ready: counting begins behind the byte that was read last. s.mu is held.
func (l *Connection) start(h uint64) {
	now := l.st.cfg.Clock.Now()
	l.ready, l.askedAt = true, now
	l.records = l.transport.ConnectionState().HandshakeComplete
	l.heard.Store(wait.Running(now))
	l.idle.Store(0)
	l.transport.begin(h)
	l.transport.queued = true
}

// fresh binds and, if the server can, enables.
func (g *login) fresh(offered bool) error {
	me, err := g.bind()
	if err != nil {
		return err
	}
	if !g.l.st.account(me.String()) {
		return fmt.Errorf("%w: %s", ErrAccount, me)
	}
	sess := Session{JID: me.String()}
	managed := false
	if offered {
		if managed, err = g.enable(&sess); err != nil {
			return err
		}
	}
	s := g.l.st
	s.mu.Lock()
	defer s.mu.Unlock()
	if !g.l.current() {
		return ErrDown
	}
	s.begin(sess)
	g.l.start(0)
	g.l.managed = managed
	if !managed {
		g.l.fence = newFence("", "", s.cfg.Clock.Now())
	}
	g.sess.UpdateAddr(me)
	return nil
}

// bind asks for our resource; mellium's own asks for none, and servers then make a new one each time.
func (g *login) bind() (jid.JID, error) {
	id := token()
	resource := ""
	if r := g.l.st.cfg.Resource; r != "" {
		var b strings.Builder
		if err := xml.EscapeText(&b, []byte(r)); err != nil {
			return jid.JID{}, err
		}
		resource = "<resource>" + b.String() + "</resource>"
	}
	if err := g.write("<iq type='set' id='" + id + "'><bind xmlns='" + nsBind + "'>" + resource + "</bind></iq>"); err != nil {
		return jid.JID{}, err
	}
	start, err := g.token()
	if err != nil {
		return jid.JID{}, err
	}
	var iq struct {
		ID   string        `xml:"id,attr"`
		Type string        `xml:"type,attr"`
		JID  string        `xml:"urn:ietf:params:xml:ns:xmpp-bind bind>jid"`
		Err  *stanza.Error `xml:"error"`
	}
	if err := g.d.DecodeElement(&iq, &start); err != nil {
		return jid.JID{}, err
	}
	switch {
	case start.Name.Local != "iq" || iq.ID != id:
		return jid.JID{}, fmt.Errorf("unexpected <%s/> in answer to bind", start.Name.Local)
	case iq.Err != nil:
		return jid.JID{}, fmt.Errorf("bind: %w", *iq.Err)
	case iq.Type != string(stanza.ResultIQ):
		return jid.JID{}, errors.New("bind: neither result nor error")
	}
	return jid.Parse(iq.JID)
}

// enable switches XEP-0198 on. A refusal is no error: the stream is bound and works without.
func (g *login) enable(sess *Session) (bool, error) {
	if err := g.write("<enable xmlns='" + NS + "' resume='true'/>"); err != nil {
		return false, err
	}
	start, err := g.next(NS)
	if err != nil {
		return false, err
	}
	if start.Name.Local != "enabled" {
		return false, nil
	}
	if r := attr(&start, "resume"); r == "true" || r == "1" {
		sess.ID = attr(&start, "id")
		if at := attr(&start, "location"); len(at) <= mostID {
			sess.Location = at
		}
	}
	if len(sess.ID) > mostID {
		return false, fmt.Errorf("the server's name for the stream has %d bytes, more than %d", len(sess.ID), mostID)
	}
	if s, err := strconv.ParseUint(attr(&start, "max"), 10, 31); err == nil {
		sess.Max = time.Duration(s) * time.Second
	}
	return true, nil
}

// next reads up to the next element of a namespace, to its end. Messages that come before are kept: they
// are not counted, so nobody would bring them again.
func (g *login) next(ns string) (xml.StartElement, error) {
	for {
		start, err := g.token()
		if err != nil {
			return start, err
		}
		if start.Name.Space == ns {
			return start, xmlstream.Skip(g.d)
		}
		tokens, cost := []xml.Token{start}, costOf(start)
		for depth := 1; depth > 0; {
			tok, err := g.d.Token()
			if err != nil {
				return start, err
			}
			if cost += costOf(tok); cost > mostEarly {
				return start, errEarly
			}
			switch tok.(type) {
			case xml.StartElement:
				depth++
			case xml.EndElement:
				depth--
			}
			tokens = append(tokens, xml.CopyToken(tok))
		}
		if start.Name.Local == "message" {
			if err := g.l.st.holdEarly(tokens, cost); err != nil {
				return start, err
			}
		}
	}
}

// token reads the next start element at the top of the stream.
func (g *login) token() (xml.StartElement, error) {
	for {
		tok, err := g.d.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			return t.Copy(), nil
		case xml.CharData: // a keepalive
		default:
			return xml.StartElement{}, fmt.Errorf("unexpected %T", tok)
		}
	}
}

func (g *login) write(s string) error {
	_, err := io.WriteString(g.l.transport, s)
	return err
}

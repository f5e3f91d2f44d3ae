package xmppside

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"

	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stream"

	"chatrelay/internal/fix"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// component logs in as a server component (XEP-0114): a stream and a handshake, no SASL, nothing to be resumed. It implements
// login.
type component struct {
	cfg *Config
	me  jid.JID // a domain
}

// ownAddress is what a component calls itself where no landline speaks; empty: we are a client, and the server says who we are.
type ownAddress string

// isComponent tells whether landlines have addresses of ours.
func (a ownAddress) isComponent() bool { return a != "" }

// withFrom says in a stanza of ours whom it is from, unless it says so.
func (a ownAddress) withFrom(raw []byte) []byte {
	if !a.isComponent() {
		return raw
	}
	return stanza.From(raw, string(a))
}

// answer does so with an answer: it comes from the address that was asked.
func (a ownAddress) answer(raw []byte, asked *stanza.Element) []byte {
	if !a.isComponent() {
		return raw
	}
	return stanza.From(raw, cmp.Or(asked.Get("to"), string(a)))
}

func newComponent(cfg *Config, me jid.JID) *component { return &component{cfg: cfg, me: me} }

// targets implements login. No DNS record says where a server listens for components.
func (d *component) targets(context.Context) []string { return []string{d.cfg.Addr} }

// secret implements login.
func (d *component) secret() (string, error) { return d.cfg.login() }

// negotiate implements login.
func (d *component) negotiate(ctx context.Context, l *sm.Connection, nc net.Conn, secret string) (*connection, error) {
	k := &connection{l: l, own: ownAddress(d.me.String() + "/" + d.cfg.Resource), askers: askers{each: contactEach}}
	if d.cfg.TLS == tlsDirect {
		t := tls.Client(nc, tlsConfig(d.cfg, d.me.Domainpart()))
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		nc, k.tls = t, tls.VersionName(t.ConnectionState().Version)
	}
	over, begin := sm.Component(l, nc, d.me.String())
	var err error
	k.sess, err = xmpp.NewSession(context.WithoutCancel(ctx), d.me, d.me, over, xmpp.Secure,
		func(_ context.Context, in, out *stream.Info, s *xmpp.Session, _ any) (xmpp.SessionState, io.ReadWriter, any, error) {
			in.XMLNS, out.XMLNS = sm.NSComponent, sm.NSComponent
			if err := d.handshake(s, secret); err != nil {
				return 0, nil, nil, err
			}
			return xmpp.Authn | xmpp.Ready, nil, nil, begin()
		})
	k.full = d.me.String()
	return k, err
}

// handshake opens the stream and shows that we know the secret.
func (d *component) handshake(s *xmpp.Session, secret string) error {
	r := s.TokenReader()
	defer r.Close() // it only unlocks
	in := xml.NewTokenDecoder(r)
	head := stanza.AppendAttr([]byte("<stream:stream xmlns='"+sm.NSComponent+"' xmlns:stream='"+stream.NS+"'"), "to", d.me.String())
	if _, err := s.Conn().Write(append(head, '>')); err != nil {
		return err
	}
	header, err := nextStart(in)
	if err != nil {
		return err
	}
	if header.Name.Local != "stream" || header.Name.Space != stream.NS {
		return fmt.Errorf("the server begins with <%s/>: it is no stream", header.Name.Local)
	}
	id := (&stanza.Element{Attr: header.Attr}).Get("id")
	proof := sha1.Sum([]byte(id + secret)) // XEP-0114 §3: it is no secret that is kept by it, but the one way there is
	if _, err := io.WriteString(s.Conn(), "<handshake>"+hex.EncodeToString(proof[:])+"</handshake>"); err != nil {
		return err
	}
	answer, err := nextStart(in)
	switch {
	case err != nil:
		return err
	case answer.Name.Local == "handshake":
		return in.Skip()
	}
	return fmt.Errorf("unexpected <%s/> in answer to the handshake", answer.Name.Local)
}

// nextStart reads up to the next start tag. A stream error is the error.
func nextStart(in *xml.Decoder) (xml.StartElement, error) {
	for {
		tok, err := in.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if t.Name.Space == stream.NS && t.Name.Local == "error" {
				e, err := stanza.Read(in, &t)
				if err != nil {
					return t, err
				}
				return t, refusedComponent(e)
			}
			return t.Copy(), nil
		case xml.EndElement:
			return xml.StartElement{}, io.EOF
		}
	}
}

// refusedComponent says why the server does not let the component in.
func refusedComponent(e *stanza.Element) error {
	refusal := &streamError{}
	for _, k := range e.Kids {
		switch {
		case k.Name.Space != stanza.NSStreams:
		case k.Name.Local == "text":
			refusal.text = k.Text
		case refusal.condition == "":
			refusal.condition = k.Name.Local
		}
	}
	switch refusal.condition {
	case "not-authorized":
		return &loginError{condition: refusal.condition, err: &fix.Error{Kind: fix.BadSecret, Err: errors.New("the server does not know this component, or not this secret")}}
	case "host-unknown":
		return &fix.Error{Kind: fix.NoComponent, Err: refusal}
	case "conflict":
		// It may be our own, of which the server has not noticed that it is dead. So no streamError, which would make us stand back.
		return &fix.Error{Kind: fix.Taken, Err: errors.New("another connection is the component already: " + refusal.Error())}
	}
	return refusal
}

// sharesComponent is told when another connection begins, or ceases, to get a part of what comes. Only who runs the server can end that.
func (s *Side) sharesComponent(on bool) {
	s.setShared(on)
	if !on {
		s.log.Info().Str("component", s.addr.own).Msg("no other connection gets a part of what comes any more")
		return
	}
	s.log.Warn().Str("component", s.addr.own).
		Str("fix", "run one relay per component; where the network was cut the server has yet to give up the connection of before: restart it, or lower its net.ipv4.tcp_retries2").
		Msg(sharedText + ": that is lost, or with another relay")
}

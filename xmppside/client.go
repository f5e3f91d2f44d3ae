package xmppside

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"chatrelay/internal/fix"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// client logs in to an account (RFC 6120): TLS, SASL, and a resource that is bound, or a stream that is resumed. It implements
// login.
type client struct {
	cfg *Config
	me  jid.JID // bare
}

func newClient(cfg *Config, me jid.JID) *client { return &client{cfg: cfg, me: me} }

// targets implements login.
func (d *client) targets(ctx context.Context) []string {
	return targets(ctx, net.DefaultResolver, d.cfg, d.me.Domainpart())
}

// secret implements login.
func (d *client) secret() (string, error) { return d.cfg.login() }

// negotiate implements login.
func (d *client) negotiate(ctx context.Context, l *sm.Connection, nc net.Conn, password string) (*connection, error) {
	conf := tlsConfig(d.cfg, d.me.Domainpart())
	k := &connection{l: l}
	mechanisms := []sasl.Mechanism{bounded(sasl.ScramSha256), bounded(sasl.ScramSha1)} // never PLUS: mellium does not fall back
	var features []xmpp.StreamFeature
	var rw net.Conn = nc
	state := xmpp.Secure
	switch d.cfg.TLS {
	case tlsDirect:
		t := tls.Client(nc, conf)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		rw = t
		mechanisms = append(mechanisms, sasl.Plain)
	case tlsOff: // mellium offers SASL only where it thinks that all is secure
		features = append(features, k.seesTLS())
	default:
		state = 0
		features = append(features, k.startTLS(conf))
		mechanisms = append(mechanisms, sasl.Plain)
	}
	features = append(features, l.SASL(k.noticing(xmpp.SASL("", password, mechanisms...), d.cfg.TLS)), l.Bind(), k.limits())
	var err error
	k.sess, err = xmpp.NewSession(context.WithoutCancel(ctx), d.me.Domain(), d.me, rw, state,
		xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
			return xmpp.StreamConfig{Features: features}
		}))
	if err != nil {
		return nil, err
	}
	return k, k.verify(d.cfg.TLS)
}

// verify looks behind mellium's success: it swallows the failure of a feature that is marked optional, and then
// the session is neither secure nor logged in.
func (k *connection) verify(mode string) error {
	const want = xmpp.Secure | xmpp.Authn | xmpp.Ready
	k.full = k.sess.LocalAddr().String()
	if v := k.sess.ConnectionState().Version; v != 0 {
		k.tls = tls.VersionName(v)
	}
	broken := errors.New("the server, or somebody between, broke off TLS or the login")
	switch {
	case k.sess.State()&want != want && mode == tlsOff && k.offersTLS:
		return &fix.Error{Kind: fix.TLSDemanded, Err: errors.New("the server offers no login without TLS")}
	case mode == tlsStart && k.tls == "":
		return &fix.Error{Kind: fix.NoTLS, Err: broken}
	case k.sess.State()&want != want:
		return broken
	case mode != tlsOff && k.tls == "":
		return errors.New("the connection is not encrypted")
	case k.sess.LocalAddr().Resourcepart() == "":
		return errors.New("the server bound no resource")
	}
	return nil
}

// startTLS tells a server that has no TLS from a connection that broke.
func (k *connection) startTLS(conf *tls.Config) xmpp.StreamFeature {
	f := xmpp.StartTLS(conf)
	parse, negotiate := f.Parse, f.Negotiate
	f.Parse = func(ctx context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
		k.offersTLS = true
		return parse(ctx, d, start)
	}
	f.Negotiate = func(ctx context.Context, s *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
		mask, rw, err := negotiate(ctx, s, data)
		if err != nil && (!k.offersTLS || !isNetwork(err)) { // it is asked for even where it is not offered (RFC 7590 §3.1)
			err = &fix.Error{Kind: fix.NoTLS, Err: err}
		}
		return mask, rw, err
	}
	return f
}

// seesTLS notes that the server offers STARTTLS, where we do not want it (RFC 6120 §5.4.1).
func (k *connection) seesTLS() xmpp.StreamFeature {
	return xmpp.StreamFeature{
		Name: xml.Name{Space: stanza.NSTLS, Local: "starttls"},
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			k.offersTLS = true
			return false, nil, d.DecodeElement(new(struct{}), start)
		},
	}
}

// RFC 6120 §13.12: no server may take less than leastStanza.
const (
	leastStanza = 10_000
	mostStanza  = 1 << 30
)

// limits reads what the server says of stanza sizes (XEP-0478). There is nothing to negotiate.
func (k *connection) limits() xmpp.StreamFeature {
	return xmpp.StreamFeature{
		Name: xml.Name{Space: stanza.NSLimits, Local: "limits"},
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			var limits struct {
				Max string `xml:"urn:xmpp:stream-limits:0 max-bytes"`
			}
			err := d.DecodeElement(&limits, start)
			text := strings.TrimSpace(limits.Max)
			n, bad := strconv.Atoi(text)
			switch {
			case text == "":
			case bad != nil || n < leastStanza || n > mostStanza:
				k.absurd = text[:min(len(text), 40)]
			default:
				k.limit, k.absurd = n, ""
			}
			return false, nil, err
		},
	}
}

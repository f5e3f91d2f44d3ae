package xmppside

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stream"

	"chatrelay/bridge"
	"chatrelay/internal/dial"
	"chatrelay/internal/fix"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

const loginTimeout = 15 * time.Second

// connector opens logged-in lines. It is used by one goroutine.
type connector struct {
	cfg    *Config
	me     jid.JID
	avoid  string // a location that did not let us in
	warned string // what was complained of last
}

// connection is one logged-in connection.
type connection struct {
	l      *sm.Link
	sess   *xmpp.Session
	full   string // our JID, with the resource
	addr   string // where the server is
	tls    string // version; empty: none
	limit  int    // bytes of a stanza that the server takes; 0: it did not say
	absurd string // what it said instead of a limit
	asking asking
	askers askers

	offersTLS bool // STARTTLS
}

func newConnector(cfg *Config, me jid.JID) *connector { return &connector{cfg: cfg, me: me} }

// connect logs in, trying one address after the other until one lets us in or says no for a reason that another
// will say too.
func (d *connector) connect(ctx context.Context, st *sm.Stream) (*connection, error) {
	var failed []error
	for _, address := range d.addresses(ctx, st) {
		k, err := d.try(ctx, st, address)
		if host := elsewhere(err); host != "" && d.cfg.TLS != tlsOff { // RFC 6120 §4.9.3.19; once only
			k, err = d.try(ctx, st, withPort(host))
		}
		if err == nil {
			d.avoid = ""
			return k, nil
		}
		if address == st.Session().Location {
			d.avoid = address
		}
		failed = append(failed, err)
		if ctx.Err() != nil || isLogin(err) {
			break
		}
	}
	return nil, errors.Join(failed...)
}

// expected is what the server answers in at first.
func (d *connector) expected() fix.Protocol {
	if d.cfg.TLS == tlsDirect {
		return fix.TLS
	}
	return fix.XMPP
}

// addresses begins with where the server wants the stream resumed (XEP-0198 §5). Without TLS nothing shows
// that it is the same server.
func (d *connector) addresses(ctx context.Context, st *sm.Stream) []string {
	out := targets(ctx, d.cfg, d.me.Domainpart())
	if at := st.Session().Location; at != "" && at != d.avoid && d.cfg.TLS != tlsOff {
		out = append([]string{at}, out...)
	}
	return out
}

// try logs in at one address. Contexts do not cancel mellium's reads: closing the connection does.
func (d *connector) try(ctx context.Context, st *sm.Stream, address string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	password, err := d.cfg.login()
	if err != nil {
		return nil, &loginError{condition: "no-password", err: err}
	}
	dialCtx, done := context.WithTimeout(ctx, dialTimeout)
	bare, err := dial.TCP(dialCtx, withPort(address), userTime)
	done()
	if err != nil {
		return nil, err
	}
	nc := &greeting{Conn: fix.Expect(bare, d.expected())}
	l := st.Link(nc)
	stop := context.AfterFunc(ctx, l.Close)
	k, err := d.login(ctx, l, nc, password)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		l.Close()
		if ctx.Err() != nil && isNetwork(err) {
			err = fmt.Errorf("login at %s: %w", address, ctx.Err())
		}
		return nil, classified(err)
	}
	nc.closed.Store(true)
	k.addr = address
	d.warnLimit(k.absurd)
	return k, nil
}

func (d *connector) login(ctx context.Context, l *sm.Link, nc net.Conn, password string) (*connection, error) {
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
			var said struct {
				Max string `xml:"urn:xmpp:stream-limits:0 max-bytes"`
			}
			err := d.DecodeElement(&said, start)
			text := strings.TrimSpace(said.Max)
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

// warnLimit says that a limit is not believed, when that starts or changes: with it each message would be refused.
func (d *connector) warnLimit(absurd string) {
	if absurd != "" && absurd != d.warned {
		d.cfg.Log.Warn().Str("side", bridge.XMPP.String()).Str("max_bytes", absurd).Int("least", leastStanza).
			Msg("the server announces a limit for stanzas that cannot be right (XEP-0478); it is ignored")
	}
	d.warned = absurd
}

// loginError: the server does not let us in. Trying again soon would not help, and might lock the account.
type loginError struct {
	condition string
	err       error
}

func (e *loginError) Error() string {
	if hostile, ok := errors.AsType[*challengeError](e.err); ok {
		return "login given up: " + hostile.Error()
	}
	return "login refused (" + e.condition + "): " + e.err.Error()
}

func (e *loginError) Unwrap() error { return e.err }

func isLogin(err error) bool {
	var e *loginError
	return errors.As(err, &e)
}

// newLoginError finds out what a refused login needs. mechanisms is what the server has offered.
func newLoginError(condition string, mechanisms []string, mode string, err error) error {
	has := func(names ...string) bool {
		return slices.ContainsFunc(mechanisms, func(m string) bool { return slices.Contains(names, m) })
	}
	kind := fix.BadLogin
	switch {
	case condition == "encryption-required": // RFC 6120 §6.5.4
		kind = fix.TLSDemanded
	case condition == "temporary-auth-failure": // RFC 6120 §6.5.11
		kind = fix.Unavailable
	case has("SCRAM-SHA-256", "SCRAM-SHA-1"), mode != tlsOff && has("PLAIN"):
	case has("PLAIN"):
		kind = fix.PlainOnly
	default:
		kind = fix.NoMechanism
	}
	return &loginError{condition: condition, err: &fix.Error{Kind: kind, Err: err}}
}

// classified says of the errors of a stream which need a setting changed.
func classified(err error) error {
	if e, ok := errors.AsType[stream.Error](err); ok && (errors.Is(e, stream.HostUnknown) || errors.Is(e, stream.HostGone)) {
		return &fix.Error{Kind: fix.HostUnknown, Err: fmt.Errorf("the server closed the stream: %w", err)}
	}
	return err
}

// noticing tells a refusal by SASL from a connection that broke meanwhile. Mellium's own type is internal. What was said
// before the login counts no more: without TLS anybody may have said it.
func (k *connection) noticing(f xmpp.StreamFeature, mode string) xmpp.StreamFeature {
	negotiate := f.Negotiate
	f.Negotiate = func(ctx context.Context, s *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
		mask, rw, err := negotiate(ctx, s, data)
		var hostile *challengeError
		switch {
		case err == nil:
			k.limit, k.absurd = 0, ""
		case errors.As(err, &hostile):
			err = &loginError{condition: "bad-challenge", err: &fix.Error{Kind: fix.BadScram, Err: err}}
		case !isNetwork(err):
			offered, _ := data.([]string)
			err = newLoginError(saslCondition(err), offered, mode, err)
		}
		return mask, rw, err
	}
	return f
}

// saslCondition reads the defined condition out of mellium's error (RFC 6120 §6.5).
func saslCondition(err error) string {
	var failure interface{ TokenReader() xml.TokenReader }
	if !errors.As(err, &failure) {
		return "sasl"
	}
	r := failure.TokenReader()
	for depth := 0; ; {
		tok, err := r.Token()
		if start, ok := tok.(xml.StartElement); ok {
			if depth++; depth == 2 {
				return start.Name.Local
			}
		}
		if err != nil || tok == nil {
			return "sasl"
		}
	}
}

func isNetwork(err error) bool {
	var ne net.Error
	var se *xml.SyntaxError
	var me stream.Error
	return errors.Is(err, errGreeting) || errors.Is(err, sm.ErrTooLarge) || errors.As(err, &ne) || errors.As(err, &se) || errors.As(err, &me) || errors.As(err, new(*fix.Speaks)) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// elsewhere is where a server sends us instead; empty: it does not.
func elsewhere(err error) string {
	var e stream.Error
	if errors.As(err, &e) && errors.Is(e, stream.SeeOtherHost) {
		return strings.TrimSpace(e.Content)
	}
	return ""
}

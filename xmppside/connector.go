package xmppside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stream"

	"chatrelay/bridge"
	"chatrelay/internal/dial"
	"chatrelay/internal/fix"
	"chatrelay/xmppside/sm"
)

const loginTimeout = 15 * time.Second

// login is how the relay gets in at a server: as a client of an account, or as a component (XEP-0114).
type login interface {
	// targets are where to connect, in order (host:port).
	targets(ctx context.Context) []string
	// secret reads what shows who we are. Without one there is nothing to be tried.
	secret() (string, error)
	// negotiate goes from the first byte to a stream on which stanzas may be sent. It ends early when nc is closed.
	negotiate(ctx context.Context, l *sm.Connection, nc net.Conn, secret string) (*connection, error)
}

// loginOf is the one that is configured.
func loginOf(cfg *Config, me jid.JID) login {
	if cfg.Component {
		return newComponent(cfg, me)
	}
	return newClient(cfg, me)
}

// connector opens logged-in connections, over TCP. It is used by one goroutine.
type connector struct {
	cfg    *Config
	login  login
	avoid  string // a location that did not let us in
	warned string // what was complained of last
}

func newConnector(cfg *Config, l login) *connector { return &connector{cfg: cfg, login: l} }

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
	out := d.login.targets(ctx)
	if at := st.Session().Location; at != "" && at != d.avoid && d.cfg.TLS != tlsOff {
		out = append([]string{at}, out...)
	}
	return out
}

// try logs in at one address. Contexts do not cancel mellium's reads: closing the connection does.
func (d *connector) try(ctx context.Context, st *sm.Stream, address string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	secret, err := d.login.secret()
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
	l := st.Connection(nc)
	stop := context.AfterFunc(ctx, l.Close)
	k, err := d.login.negotiate(ctx, l, nc, secret)
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

// warnLimit says that a limit is not believed, when that starts or changes: with it each message would be refused.
func (d *connector) warnLimit(absurd string) {
	if absurd != "" && absurd != d.warned {
		d.cfg.Log.Warn().Str("side", bridge.XMPP.String()).Str("max_bytes", absurd).Int("least", leastStanza).
			Msg("the server announces a limit for stanzas that cannot be right (XEP-0478); it is ignored")
	}
	d.warned = absurd
}

// elsewhere is where a server sends us instead; empty: it does not.
func elsewhere(err error) string {
	var e stream.Error
	if errors.As(err, &e) && errors.Is(e, stream.SeeOtherHost) {
		return strings.TrimSpace(e.Content)
	}
	return ""
}

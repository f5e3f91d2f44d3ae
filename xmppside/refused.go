package xmppside

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"mellium.im/xmpp"
	"mellium.im/xmpp/stream"

	"chatrelay/internal/fix"
	"chatrelay/xmppside/sm"
)

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

package fix

import (
	"errors"
	"net"
	"sync/atomic"
)

// Protocol is what a far end speaks.
type Protocol string

// The protocols that are told apart by their first bytes.
const (
	TLS  Protocol = "TLS"
	MQTT Protocol = "MQTT"
	XMPP Protocol = "XMPP"
	HTTP Protocol = "HTTP"
)

// protocolOf tells by the first bytes of an answer what the far end speaks; empty: they do not show it.
func protocolOf(first []byte) Protocol {
	switch {
	case len(first) >= 2 && (first[0] == 0x15 || first[0] == 0x16) && first[1] == 3: // alert, handshake (RFC 8446 §5.1)
		return TLS
	case len(first) >= 4 && string(first[:4]) == "HTTP": // RFC 9112 §4
		return HTTP
	case len(first) >= 1 && first[0] == '<':
		return XMPP
	case len(first) >= 1 && first[0] == 0x20: // CONNACK (MQTT-3.2.1)
		return MQTT
	}
	return ""
}

// Expect watches the first answer on a connection. One in another protocol ends the reading with Speaks, an end without any
// with Silent. It costs nothing afterwards.
func Expect(conn net.Conn, p Protocol) net.Conn { return &expecting{Conn: conn, protocol: p} }

type expecting struct {
	net.Conn
	protocol Protocol
	answered atomic.Bool
}

func (c *expecting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.answered.Load() {
		return n, err
	}
	if n > 0 {
		c.answered.Store(true)
		if got := protocolOf(b[:n]); got != "" && got != c.protocol {
			return 0, &Speaks{got}
		}
		return n, err
	}
	if err == nil || errors.Is(err, net.ErrClosed) || timedOut(err) { // we closed it, or were not given the time
		return n, err
	}
	return n, &Silent{Addr: c.RemoteAddr().String(), Expected: c.protocol, Err: err}
}

func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

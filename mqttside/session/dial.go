package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
)

// dialLimit is for all that comes before CONNECT.
const dialLimit = KeepAlive / 2

// TCP opens a connection to an address (host:port).
type TCP func(ctx context.Context, address string) (net.Conn, error)

// Dial opens the transport to a broker: TCP, TLS or WebSocket, as the URL says. conf is for secure ones; the name in it
// is set to the URL's host, and always checked. Proxies of the environment are not used.
func Dial(ctx context.Context, u *url.URL, conf *tls.Config, tcp TCP) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	if Secure(u) {
		conf = conf.Clone()
		conf.ServerName = u.Hostname()
	} else {
		conf = nil
	}
	if u.Scheme == "ws" || u.Scheme == "wss" {
		return dialWebsocket(ctx, u, conf, tcp)
	}
	port := u.Port()
	if port == "" {
		port = DefaultPort(u.Scheme)
	}
	conn, err := tcp(ctx, net.JoinHostPort(u.Hostname(), port))
	if err != nil || conf == nil {
		return conn, err
	}
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS with %s: %w", u.Host, err), ignoreClosed(conn.Close()))
	}
	return secured, nil
}

// DefaultPort is that of a URL's scheme; empty: it is none of a broker's.
func DefaultPort(scheme string) string {
	switch scheme {
	case "tcp", "mqtt":
		return "1883"
	case "ssl", "tls", "mqtts":
		return "8883"
	case "ws":
		return "80"
	case "wss":
		return "443"
	}
	return ""
}

// Secure tells whether a URL asks for TLS.
func Secure(u *url.URL) bool {
	switch u.Scheme {
	case "ssl", "tls", "mqtts", "wss":
		return true
	}
	return false
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

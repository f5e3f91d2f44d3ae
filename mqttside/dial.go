package mqttside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"chatrelay/internal/dial"
	"chatrelay/internal/fix"
)

// transport opens the transport to a broker.  Proxies of the environment are not used.
func transport(ctx context.Context, cfg *Config, u *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var conf *tls.Config
	if secure(u) {
		conf = tlsConfig(cfg, u)
	}
	switch u.Scheme {
	case "ws":
		return dialWebsocket(ctx, u, conf, fix.HTTP)
	case "wss":
		return dialWebsocket(ctx, u, conf, fix.TLS)
	}
	expected := fix.MQTT
	if conf != nil {
		expected = fix.TLS
	}
	conn, err := dialTCP(ctx, address(u), expected)
	if err != nil || conf == nil {
		return conn, err
	}
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS with %s: %w", u.Host, err), ignoreClosed(conn.Close()))
	}
	return secured, nil
}

func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dialTCP opens a connection whose far end is expected to answer in a protocol. paho takes no notice of a silent peer while
// it is busy publishing: the kernel does.
func dialTCP(ctx context.Context, addr string, expected fix.Protocol) (net.Conn, error) {
	conn, err := dial.TCP(ctx, addr, keepAlive+pingTimeout)
	if err != nil {
		return nil, err
	}
	return fix.Expect(conn, expected), nil
}

// tlsConfig is for the host of u: its name is always checked.
func tlsConfig(cfg *Config, u *url.URL) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname(), RootCAs: cfg.Roots(), Certificates: cfg.Certificates()}
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

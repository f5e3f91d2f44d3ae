package mqttside

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"

	"chatrelay/internal/dial"
	"chatrelay/internal/fix"
	"chatrelay/mqttside/session"
)

// login logs in over a transport. By MQTT 5 a broker that has QoS 0 only says so: it would confirm nothing.
func login(ctx context.Context, raw net.Conn, o session.Options) (*session.Conn, error) {
	conn, err := session.Login(ctx, raw, o)
	if err == nil && o.Level == level5 && conn.Limits.QoS == 0 {
		err = session.Refused{Level: o.Level, Code: session.CodeNoQoS}
		conn.Close(err)
	}
	return conn, err
}

// peerSilence is after which the kernel gives up a connection whose far end acknowledges nothing.
const peerSilence = session.KeepAlive * 3 / 2

// transport opens the way to a broker, whose far end is expected to answer in a protocol.
func transport(ctx context.Context, cfg *Config, u *url.URL) (net.Conn, error) {
	expected := fix.MQTT
	switch {
	case session.Secure(u):
		expected = fix.TLS
	case u.Scheme == "ws":
		expected = fix.HTTP
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots(), Certificates: cfg.Certificates(), VerifyConnection: cfg.Verified}
	conn, err := session.Dial(ctx, u, conf, func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := dial.TCP(ctx, address, peerSilence)
		if err != nil {
			return nil, err
		}
		return fix.Expect(conn, expected), nil
	})
	if errors.As(err, new(session.NoWebsocket)) {
		err = &fix.Error{Kind: fix.NoWebsocket, Err: err}
	}
	return conn, err
}

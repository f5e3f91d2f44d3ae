package mqttside

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"chatrelay/internal/dial"
)

// transport opens the transport to a broker. Files of certificates are read afresh, so that renewed ones count.
// Proxies of the environment are not used.
func transport(ctx context.Context, cfg *Config, u *url.URL) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var conf *tls.Config
	if secure(u) {
		var err error
		if conf, err = tlsConfig(cfg, u); err != nil {
			return nil, err
		}
	}
	if u.Scheme == "ws" || u.Scheme == "wss" {
		return dialWebsocket(ctx, u, conf)
	}
	conn, err := dialTCP(ctx, "tcp", address(u))
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

// dialTCP has the shape that a WebSocket dialer wants. paho takes no notice of a silent peer while it is busy
// publishing: the kernel does.
func dialTCP(ctx context.Context, _, addr string) (net.Conn, error) {
	return dial.TCP(ctx, addr, keepAlive+pingTimeout)
}

// tlsConfig is for the host of u: its name is always checked.
func tlsConfig(cfg *Config, u *url.URL) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("CHATRELAY_MQTT_CA_FILE: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CHATRELAY_MQTT_CA_FILE: %s holds no PEM certificate", cfg.CAFile)
		}
	}
	if cfg.CertFile != "" && cfg.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("CHATRELAY_MQTT_CERT_FILE, CHATRELAY_MQTT_KEY_FILE: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

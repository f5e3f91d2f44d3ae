package xmppside

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	userTime    = 30 * time.Second // without an acknowledgement by the peer's TCP
)

// targets are where to connect, in order: the configured address, or what the domain's SRV records say
// (RFC 6120 §3.2, XEP-0368), or the domain itself.
func targets(ctx context.Context, r resolver, cfg *Config, domain string) []string {
	if cfg.Addr != "" {
		return []string{cfg.Addr}
	}
	service, port := "xmpp-client", "5222"
	if cfg.TLS == tlsDirect {
		service, port = "xmpps-client", "5223"
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	_, records, _ := r.LookupSRV(ctx, service, "tcp", domain) // none, or no answer: the domain itself
	if out := targetsOf(records); len(out) > 0 {
		return out
	}
	return []string{net.JoinHostPort(domain, port)}
}

func targetsOf(records []*net.SRV) (out []string) {
	for _, r := range records {
		if r.Target != "." { // RFC 2782: decidedly not here
			out = append(out, net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))))
		}
	}
	return out
}

// withPort completes an address that a server gave (RFC 6120 §4.9.3.19, XEP-0198 §5).
func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), "5222")
}

// tlsConfig holds the certificate against the JID's domain, whatever host was dialled (RFC 6120 §13.7.2).
func tlsConfig(cfg *Config, domain string) *tls.Config {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: domain, RootCAs: cfg.Roots(), VerifyConnection: cfg.Verified,
		// One write, one record: crypto/tls cuts the first 128 KiB of a connection into small ones, and a connection that
		// breaks between two leaves half a stanza with the server, after which Prosody 0.12 cannot resume.
		DynamicRecordSizingDisabled: true}
	if cfg.TLS == tlsDirect {
		conf.NextProtos = []string{"xmpp-client"}
	}
	return conf
}

package app

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync"
	"time"
)

// expiry remembers until when the certificates are good that were seen last.
type expiry struct {
	mu   sync.Mutex // guards ends
	ends map[string]time.Time
}

// seen notes a connection's, for tls.Config.VerifyConnection.
func (e *expiry) seen(name string) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		chain := s.PeerCertificates
		if len(s.VerifiedChains) > 0 {
			chain = s.VerifiedChains[0]
			chain = chain[:max(1, len(chain)-1)] // the root is of this machine
		}
		if end := firstEnd(chain); !end.IsZero() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.ends == nil {
				e.ends = map[string]time.Time{}
			}
			e.ends[name] = end
		}
		return nil
	}
}

// seenOf tells brokers of different names apart.
func (e *expiry) seenOf(side string) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error { return e.seen(strings.TrimSpace(side + " " + s.ServerName))(s) }
}

// ownCertificate is the relay's.
const ownCertificate = "mqtt_client"

// all adds those that the relay itself shows.
func (e *expiry) all(own []tls.Certificate) map[string]time.Time {
	out := map[string]time.Time{}
	for _, c := range own {
		if leaf, err := x509.ParseCertificate(c.Certificate[0]); err == nil {
			out[ownCertificate] = leaf.NotAfter
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, end := range e.ends {
		out[name] = end
	}
	return out
}

func firstEnd(chain []*x509.Certificate) (first time.Time) {
	for _, c := range chain {
		if first.IsZero() || c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first
}

package app

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestExpiry: a handshake notes the end of the certificate that was shown; the relay's own is read.
func TestExpiry(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	var e expiry
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: roots, VerifyConnection: e.seen("mqtt_broker")})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	got := e.all(server.TLS.Certificates)
	if want := server.Certificate().NotAfter; !got["mqtt_broker"].Equal(want) || !got["mqtt_client"].Equal(want) || len(got) != 2 {
		t.Errorf("%v, want %v twice", got, want)
	}
}

// TestExpiryOfChain: the first that ends counts, and the root is this machine's own affair.
func TestExpiryOfChain(t *testing.T) {
	end := func(n int64) *x509.Certificate { return &x509.Certificate{NotAfter: time.Unix(n, 0)} }
	for name, c := range map[string]struct {
		state tls.ConnectionState
		want  int64
	}{
		"leaf first":         {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{end(5), end(7), end(9)}}}, 5},
		"intermediate first": {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{end(7), end(5), end(9)}}}, 5},
		"root first":         {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{end(7), end(8), end(1)}}}, 7},
		"root alone":         {tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{end(7)}}}, 7},
		"not verified":       {tls.ConnectionState{PeerCertificates: []*x509.Certificate{end(7), end(3)}}, 3},
	} {
		var e expiry
		if err := e.seen("x")(c.state); err != nil || e.all(nil)["x"].Unix() != c.want {
			t.Errorf("%s: %v, %v, want %d", name, e.all(nil), err, c.want)
		}
	}
}

package xmppside

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/bridge/bridgetest"
	"chatrelay/test/servers"
)

// A certificate that has expired is in the log once, though what Go says of it names the time; and the server is not asked
// each moment.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"chat.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	at, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	done := make(chan struct{})
	go func() { // ends with the listener
		defer close(done)
		for {
			nc, err := at.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = nc.(*tls.Conn).Handshake()
			_ = nc.Close()
		}
	}()
	t.Cleanup(func() { _ = at.Close(); <-done })
	l := start(t, bridgetest.NewMemory(t), Config{JID: ownJID, Password: Fixed("x"), Addr: at.Addr().String(), TLS: tlsDirect, Roots: servers.Roots(t, ca), Drain: time.Second})
	l.eventually(t, "asked twice", func() bool { return asked.Load() > 1 })
	time.Sleep(2 * time.Second) // the text names each second
	if n := l.log.count("expired"); n != 1 {
		t.Errorf("said %d times", n)
	}
	if n := asked.Load(); n > 3 {
		t.Errorf("asked %d times", n)
	}
}

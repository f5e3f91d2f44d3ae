package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certs are the files of a certificate authority made for one server: its own certificate, the server's
// (for localhost, 127.0.0.1 and its domains) and one for a client.
type Certs struct {
	CAFile                        string
	CertFile, KeyFile             string
	ClientCertFile, ClientKeyFile string

	by *authority
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// MakeCerts writes a new authority and its certificates into dir. clientName is the client's common name.
func MakeCerts(dir, clientName string, domains ...string) (Certs, error) {
	c := Certs{
		CAFile:   filepath.Join(dir, "ca.crt"),
		CertFile: filepath.Join(dir, "server.crt"), KeyFile: filepath.Join(dir, "server.key"),
		ClientCertFile: filepath.Join(dir, "client.crt"), ClientKeyFile: filepath.Join(dir, "client.key"),
	}
	if err := c.make(clientName, domains); err != nil {
		return c, fmt.Errorf("servers: certificates: %w", err)
	}
	return c, nil
}

// Reissue puts another certificate for the server, by the same authority, into its files. The server reads it at its next
// start.
func (c *Certs) Reissue(until time.Time, domains ...string) error {
	server := template(3)
	server.NotBefore, server.NotAfter = until.Add(-24*time.Hour), until
	server.Subject = pkix.Name{CommonName: "reissued"}
	server.DNSNames = domains
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if err := c.by.issue(server, c.CertFile, c.KeyFile); err != nil {
		return fmt.Errorf("servers: certificates: %w", err)
	}
	return nil
}

func (c *Certs) make(clientName string, domains []string) error {
	a, err := newAuthority(c.CAFile)
	if err != nil {
		return err
	}
	c.by = a
	server := template(1)
	server.Subject = pkix.Name{CommonName: "localhost"}
	server.DNSNames = append([]string{"localhost"}, domains...)
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if err := a.issue(server, c.CertFile, c.KeyFile); err != nil {
		return err
	}
	client := template(2)
	client.Subject = pkix.Name{CommonName: clientName}
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(client, c.ClientCertFile, c.ClientKeyFile)
}

func newAuthority(file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := template(0)
	ca.Subject = pkix.Name{CommonName: "chatrelay test authority"}
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, writePEM(file, "CERTIFICATE", der)
}

func (a *authority) issue(t *x509.Certificate, certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	if err := writePEM(certFile, "CERTIFICATE", der); err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(keyFile, "PRIVATE KEY", raw)
}

func template(serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixMilli()*4 + serial),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// Roots trusts the authorities of a file, as a side wants it.
func Roots(tb testing.TB, file string) func() *x509.CertPool {
	tb.Helper()
	pool := x509.NewCertPool()
	b, err := os.ReadFile(file)
	if err != nil || !pool.AppendCertsFromPEM(b) {
		tb.Fatalf("servers: no certificate in %s (%v)", file, err)
	}
	return func() *x509.CertPool { return pool }
}

// Pair is a certificate with its key, likewise.
func Pair(tb testing.TB, cert, key string) func() []tls.Certificate {
	tb.Helper()
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		tb.Fatal(err)
	}
	return func() []tls.Certificate { return []tls.Certificate{own} }
}

// Roots trusts the server's authority, as a side wants it.
func (c *Certs) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if b, err := os.ReadFile(c.CAFile); err != nil || !pool.AppendCertsFromPEM(b) {
		panic(fmt.Sprintf("servers: no certificate in %s (%v)", c.CAFile, err))
	}
	return pool
}

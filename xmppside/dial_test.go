package xmppside

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"chatrelay/test/servers"
)

// records counts what is written to a connection in TLS records of application data.
type records struct {
	net.Conn
	n int
}

func (r *records) Write(b []byte) (int, error) {
	const applicationData = 23
	for at := 0; at+5 <= len(b); at += 5 + int(b[at+3])<<8 + int(b[at+4]) {
		if b[at] == applicationData {
			r.n++
		}
	}
	return r.Conn.Write(b)
}

// TestOneWriteIsOneRecord: a connection that breaks between two records would leave half a stanza with the
// server, and Prosody 0.12 cannot resume after that.
func TestOneWriteIsOneRecord(t *testing.T) {
	certs, err := servers.MakeCerts(t.TempDir(), "x", "chat.test")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certs.CertFile, certs.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	conf := tlsConfig(&Config{Roots: servers.Roots(t, certs.CAFile)}, "chat.test")
	near, far := net.Pipe()
	server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{pair}})
	done := make(chan error, 1)
	go func() { // ends with the pipe
		_, err := io.CopyN(io.Discard, server, 4096)
		done <- err
	}()
	counted := &records{Conn: near}
	client := tls.Client(counted, conf)
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	before := counted.n
	if _, err := client.Write(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := counted.n - before; got != 1 {
		t.Errorf("%d records, want 1", got)
	}
	_ = near.Close() // its </stream:stream> would wait for a reader
	_ = far.Close()
}

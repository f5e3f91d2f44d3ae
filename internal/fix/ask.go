package fix

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

const askTimeout = 2 * time.Second

// The first words of MQTT 3.1.1 (a clean session without a name) and of XMPP. None of them is a login.
const (
	mqttHello = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
	xmppHello = "<?xml version='1.0'?><stream:stream to='chatrelay.invalid' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)

// Explain asks a port that closes without an answer what it speaks: brokers and servers say nothing to who speaks the wrong
// protocol. It takes at most 2 s. An error that it has nothing to say of comes back as it is.
func Explain(ctx context.Context, err error) error {
	silent, ok := errors.AsType[*Silent](err)
	if !ok {
		return err
	}
	if p := ask(ctx, silent.Addr, silent.Expected); p != "" {
		return &Speaks{p}
	}
	return err
}

// ask speaks to a port in each protocol but the one that it did not answer.
func ask(ctx context.Context, addr string, but Protocol) (found Protocol) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var mu sync.Mutex // guards found
	var asking sync.WaitGroup
	for _, p := range []Protocol{TLS, MQTT, XMPP} {
		if p == but {
			continue
		}
		asking.Go(func() { // ends with ctx; waited for below
			if !answers(ctx, addr, p) {
				return
			}
			mu.Lock()
			found = p
			mu.Unlock()
			cancel()
		})
	}
	asking.Wait()
	return found
}

func answers(ctx context.Context, addr string, p Protocol) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() { stop(); _ = conn.Close() }()
	first := &firstBytes{Conn: conn}
	switch p {
	case TLS: // nothing is said or believed over it
		_ = tls.Client(first, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx)
	case MQTT:
		first.exchange(mqttHello)
	case XMPP:
		first.exchange(xmppHello)
	}
	return protocolOf(first.got) == p
}

// firstBytes keeps what the first read brought.
type firstBytes struct {
	net.Conn
	got []byte
}

func (f *firstBytes) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if f.got == nil && n > 0 {
		f.got = append(f.got, b[:min(n, 8)]...)
	}
	return n, err
}

func (f *firstBytes) exchange(hello string) {
	if _, err := f.Write([]byte(hello)); err == nil {
		_, _ = f.Read(make([]byte, 64)) // what came counts
	}
}

package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// dial connects and sets the context's deadline on the connection.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if t, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(t); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// answersMQTT sends a CONNECT and wants a CONNACK, whatever it says: a refusal is an answer too.
func answersMQTT(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	// MQTT-3.1: protocol MQTT, level 4, clean session, keep-alive 10 s, empty client id.
	if _, err := c.Write([]byte{0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 10, 0, 0}); err != nil {
		return err
	}
	var ack [4]byte
	if _, err := c.Read(ack[:]); err != nil {
		return err
	}
	if ack[0] != 0x20 {
		return fmt.Errorf("no CONNACK but %x", ack)
	}
	_, err = c.Write([]byte{0xE0, 0})
	return err
}

// answersXMPP opens a stream and wants its features (RFC 6120 §4.3.2): by then all modules are loaded.
func answersXMPP(ctx context.Context, addr, domain string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", domain); err != nil {
		return err
	}
	var got []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(got, []byte("stream:features")) {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			return fmt.Errorf("%w after %q", err, got)
		}
	}
	_, err = c.Write([]byte("</stream:stream>"))
	return err
}

// listens wants something to accept on each address.
func listens(ctx context.Context, addrs ...string) error {
	for _, a := range addrs {
		c, err := dial(ctx, a)
		if err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// dialTimeout bounds the short calls made to a server that is up.
const dialTimeout = 10 * time.Second

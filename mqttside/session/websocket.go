package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
)

// NoWebsocket: the web server does not answer as one.
type NoWebsocket struct{ error }

// Unwrap is for errors.Is and errors.As.
func (e NoWebsocket) Unwrap() error { return e.error }

// dialWebsocket opens MQTT over WebSocket (MQTT-6.0.0).
func dialWebsocket(ctx context.Context, u *url.URL, conf *tls.Config, tcp TCP) (net.Conn, error) {
	d := websocket.Dialer{
		NetDialContext:   func(ctx context.Context, _, address string) (net.Conn, error) { return tcp(ctx, address) },
		TLSClientConfig:  conf,
		HandshakeTimeout: dialLimit,
		Subprotocols:     []string{"mqtt"},
	}
	bare := *u
	bare.User = nil // gorilla refuses a URL with a user
	ws, resp, err := d.DialContext(ctx, bare.String(), nil)
	if err != nil {
		if resp != nil {
			return nil, NoWebsocket{fmt.Errorf("websocket to %s: answered %s: %w", u.Host, resp.Status, err)}
		}
		return nil, fmt.Errorf("websocket to %s: %w", u.Host, err)
	}
	return &webConn{Conn: ws}, nil
}

// webConn is a websocket as a stream. One goroutine reads and one writes, as Conn does.
type webConn struct {
	*websocket.Conn
	frame io.Reader // rest of the frame being read
}

func (c *webConn) Read(p []byte) (int, error) {
	for {
		if c.frame == nil {
			kind, r, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("websocket: a text frame is no MQTT") // MQTT-6.0.0-1
			}
			c.frame = r
		}
		n, err := c.frame.Read(p)
		if errors.Is(err, io.EOF) {
			c.frame = nil // a packet may go on in the next frame (MQTT-6.0.0-2)
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *webConn) Write(p []byte) (int, error) {
	if err := c.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *webConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

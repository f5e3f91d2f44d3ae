package mqttside

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"
)

const (
	probeTimeout = 2 * time.Second
	noMaximum    = 65535 // what a CONNACK without Receive Maximum means (MQTT 5, 3.2.2.3.3)
	roomyFrom    = 1000  // Receive Maximum that the backlog of a client seldom exceeds
)

// broker is what we know of a broker's limits.
type broker struct {
	window int // messages in flight to it, at most
	// roomy: notices may go at QoS 1, beside the window and for less work. Else they go as the mail does: a PUBACK that
	// ends one of the last of many in flight to a client makes Mosquitto 2.0.11 send what comes next ahead of what
	// waits. The backlog has to be longer than its limit for that.
	roomy bool
}

var errNoVersion5 = errors.New("the broker does not speak MQTT 5")

// learnWindow asks a broker, once in a process, how many messages it takes in flight, and keeps the window at
// most half of it: above its limit Mosquitto loses QoS 2 messages it has acknowledged, and every resent packet
// counts. MQTT 3.1.1 does not tell the limit. Nothing here is fatal.
func (s *Side) learnWindow(ctx context.Context, u *url.URL) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	b := broker{window: s.cfg.Window}
	most, err := receiveMaximum(ctx, &s.cfg, u)
	log := s.log.Info()
	if err != nil {
		log.Str("receive_maximum", "unknown").AnErr("probe", err)
	} else {
		b.window = max(1, min(b.window, most/2))
		b.roomy = most >= roomyFrom
		log.Int("receive_maximum", most)
	}
	log.Int("window", b.window).Msg("publish window")
	s.mu.Lock()
	s.brokers[u.Host] = b
	s.mu.Unlock()
	s.changed.ring()
}

// receiveMaximum logs in by MQTT 5 under a client id of its own, with a session that ends at once.
func receiveMaximum(ctx context.Context, cfg *Config, u *url.URL) (int, error) {
	user, password, err := cfg.login(u)
	if err != nil {
		return 0, err
	}
	conn, err := transport(ctx, cfg, u)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // only asked
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := conn.Write(connect5(cfg.ClientID+"-probe", user, password)); err != nil {
		return 0, err
	}
	most, err := readConnack5(bufio.NewReader(conn))
	if err == nil {
		_, err = conn.Write([]byte{0xe0, 0}) // DISCONNECT
	}
	return most, err
}

// connect5 is a CONNECT with a clean start and no properties (MQTT 5, 3.1).
func connect5(id, user, password string) []byte {
	flags := byte(0x02)
	if user != "" {
		flags |= 0x80
	}
	if user != "" && password != "" {
		flags |= 0x40
	}
	body := append([]byte("\x00\x04MQTT\x05"), flags, 0, byte(keepAlive/time.Second), 0)
	body = appendText(body, id)
	if user != "" {
		body = appendText(body, user)
	}
	if flags&0x40 != 0 {
		body = appendText(body, password)
	}
	return append(binary.AppendUvarint([]byte{0x10}, uint64(len(body))), body...)
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// readConnack5 finds Receive Maximum in a CONNACK (MQTT 5, 3.2).
func readConnack5(r *bufio.Reader) (int, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNoVersion5, err)
	}
	n, err := binary.ReadUvarint(r)
	if err != nil || kind != 0x20 || n < 2 || n > longestAnswer {
		return 0, errNoVersion5
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, err
	}
	if body[1] != 0 {
		return 0, fmt.Errorf("%w: reason %#x", errNoVersion5, body[1])
	}
	props := bytes.NewReader(body[2:])
	size, err := binary.ReadUvarint(props)
	if err != nil || size > uint64(props.Len()) {
		return 0, errNoVersion5
	}
	return findMaximum(props)
}

// findMaximum walks through properties (MQTT 5, 2.2.2.2).
func findMaximum(props *bytes.Reader) (int, error) {
	for props.Len() > 0 {
		id, _ := props.ReadByte() // there is one
		length := 0
		switch id {
		case 0x21: // Receive Maximum
			var v [2]byte
			if _, err := io.ReadFull(props, v[:]); err != nil {
				return 0, errNoVersion5
			}
			return int(binary.BigEndian.Uint16(v[:])), nil
		case 0x24, 0x25, 0x28, 0x29, 0x2a: // one byte
			length = 1
		case 0x13, 0x22: // two
			length = 2
		case 0x11, 0x27: // four
			length = 4
		case 0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f: // text or binary
			length = textLength(props)
		case 0x26: // a pair of texts
			first := textLength(props)
			if _, err := props.Seek(int64(first), io.SeekCurrent); err != nil {
				return 0, errNoVersion5
			}
			length = textLength(props)
		default:
			return 0, errNoVersion5
		}
		if length < 0 || length > props.Len() {
			return 0, errNoVersion5
		}
		_, _ = props.Seek(int64(length), io.SeekCurrent) // within bounds
	}
	return noMaximum, nil
}

// textLength reads the length of a text; -1: there is none.
func textLength(r *bytes.Reader) int {
	var v [2]byte
	if _, err := io.ReadFull(r, v[:]); err != nil {
		return -1
	}
	return int(binary.BigEndian.Uint16(v[:]))
}

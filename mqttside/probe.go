package mqttside

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/mqttside/session"
)

const (
	probeTimeout  = 2 * time.Second
	noMaximum     = 65535 // what a CONNACK without Receive Maximum means (MQTT 5, 3.2.2.3.3)
	roomyFrom     = 1000  // Receive Maximum that the backlog of a client seldom exceeds
	neverExpires  = 0xffffffff
	refusedLevel5 = 0x84 // MQTT 5, 3.2.2.2
)

// limits is what a broker says by MQTT 5 that it takes. MQTT 3.1.1 does not tell.
type limits struct {
	receive int  // Receive Maximum: QoS 1 and 2 publishes in flight; 0: unknown
	qos     byte // Maximum QoS; 0: unknown
	present bool // it had a session of this client id
}

// refusal5 is a reason code of a CONNACK (MQTT 5, 3.2.2.2), or the code by which a broker refuses the version.
type refusal5 byte

func (r refusal5) Error() string {
	return fmt.Sprintf("the broker refuses MQTT 5 with code %#x", byte(r))
}

// login tells whether name, password or client id are refused.
func (r refusal5) login() bool {
	return r == 0x86 || r == 0x87 || r == packets.ErrRefusedBadUsernameOrPassword || r == packets.ErrRefusedNotAuthorised
}

// version tells whether the broker does not speak MQTT 5.
func (r refusal5) version() bool {
	return r == refusedLevel5 || r == packets.ErrRefusedBadProtocolVersion
}

var errNoVersion5 = errors.New("the broker does not speak MQTT 5")

// askLimits logs in beside the relay by MQTT 5. It never wipes or shortens the session of the relay: the client id
// never was, the start is not clean, and the session lives as long as the relay's own. Only one that this login has made
// is removed. errReplaced: the broker gave us the relay's.
func askLimits(ctx context.Context, cfg *Config, u *url.URL) (limits, error) {
	user, password, err := cfg.login(u)
	if err != nil {
		return limits{}, unreachable{err}
	}
	conn, err := transport(ctx, cfg, u)
	if err != nil {
		return limits{}, unreachable{err}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	goodbye := []byte{packets.Disconnect << 4, 0} // leaves the expiry as it is (MQTT 5, 3.14.2.2.2)
	defer func() { part(conn, goodbye) }()
	if err := conn.SetDeadline(time.Now().Add(probeTimeout)); err != nil {
		return limits{}, err
	}
	id := sideID(cfg)
	if _, err := conn.Write(connect5(id, user, password)); err != nil {
		return limits{}, leftSession{id, err}
	}
	got, err := readConnack5(bufio.NewReader(conn))
	switch {
	case errors.As(err, new(refusal5)):
		return limits{}, err
	case err != nil:
		return limits{}, leftSession{id, err}
	case got.present:
		return limits{}, errReplaced
	}
	goodbye = []byte{packets.Disconnect << 4, 7, 0, 5, 0x11, 0, 0, 0, 0} // Session Expiry Interval 0
	return got, nil
}

// part says goodbye, and waits a moment until the broker has taken note: it closes then.
func part(conn net.Conn, goodbye []byte) {
	_, err := conn.Write(goodbye)
	if err == nil && conn.SetReadDeadline(time.Now().Add(partTimeout)) == nil {
		_, _ = io.Copy(io.Discard, conn) // until the broker closes
	}
	_ = errors.Join(err, conn.Close()) // it has told what it was asked for
}

// connect5 is a CONNECT without a clean start, for a session that does not expire (MQTT 5, 3.1).
func connect5(id, user, password string) []byte {
	flags := byte(0)
	if user != "" {
		flags |= 0x80
	}
	if user != "" && password != "" {
		flags |= 0x40
	}
	body := append([]byte("\x00\x04MQTT\x05"), flags, 0, byte(session.KeepAlive/time.Second), 5, 0x11)
	body = binary.BigEndian.AppendUint32(body, neverExpires)
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

// readConnack5 reads a CONNACK (MQTT 5, 3.2).
func readConnack5(r *bufio.Reader) (limits, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return limits{}, fmt.Errorf("%w: %w", errNoVersion5, err)
	}
	n, err := binary.ReadUvarint(r)
	if err != nil || kind != packets.Connack<<4 || n < 2 || n > 1<<10 {
		return limits{}, errNoVersion5
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return limits{}, fmt.Errorf("%w: %w", errNoVersion5, err)
	}
	if body[1] != 0 {
		return limits{}, refusal5(body[1])
	}
	got := limits{receive: noMaximum, qos: 2, present: body[0]&1 != 0}
	if got.present {
		return got, nil // nothing else counts
	}
	props := bytes.NewReader(body[2:])
	size, err := binary.ReadUvarint(props)
	if err != nil || size > uint64(props.Len()) {
		return limits{}, errNoVersion5
	}
	return got, got.read(props)
}

// read walks through properties (MQTT 5, 2.2.2.2).
func (l *limits) read(props *bytes.Reader) error {
	for props.Len() > 0 {
		id, _ := props.ReadByte() // there is one
		length := 0
		switch id {
		case 0x21: // Receive Maximum
			var v [2]byte
			if _, err := io.ReadFull(props, v[:]); err != nil {
				return errNoVersion5
			}
			l.receive = int(binary.BigEndian.Uint16(v[:]))
		case 0x24: // Maximum QoS
			qos, err := props.ReadByte()
			if err != nil {
				return errNoVersion5
			}
			l.qos = max(1, qos) // at 0 nothing is confirmed: the SUBACK and the first publish will show it
		case 0x25, 0x28, 0x29, 0x2a: // one byte
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
				return errNoVersion5
			}
			length = textLength(props)
		default:
			return errNoVersion5
		}
		if length < 0 || length > props.Len() {
			return errNoVersion5
		}
		_, _ = props.Seek(int64(length), io.SeekCurrent) // within bounds
	}
	return nil
}

// textLength reads the length of a text; -1: there is none.
func textLength(r *bytes.Reader) int {
	var v [2]byte
	if _, err := io.ReadFull(r, v[:]); err != nil {
		return -1
	}
	return int(binary.BigEndian.Uint16(v[:]))
}

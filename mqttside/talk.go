package mqttside

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// partTimeout is how long a goodbye waits for the broker to close.
const partTimeout = 300 * time.Millisecond

// talk is a plain conversation with a broker, packet by packet: a side login, or the question in the session of the
// relay itself.
type talk struct {
	conn    net.Conn
	r       *bufio.Reader
	limit   int // longest PUBLISH that is read
	stop    func() bool
	present bool // the broker has a session of this client id
}

// session says whose session is asked for.
type session struct {
	id    string
	clean bool
	will  *will // nil: none
}

// unreachable: no connection came about.
type unreachable struct{ error }

func (e unreachable) Unwrap() error { return e.error }

// greet dials and logs in. ctx must have a deadline; it ends the talk.
func greet(ctx context.Context, cfg *Config, u *url.URL, who session, level byte) (*talk, error) {
	user, password, err := cfg.login(u)
	if err != nil {
		return nil, err
	}
	t, err := dialTalk(ctx, cfg, u)
	if err != nil {
		return nil, err
	}
	if err := t.login(who, user, password, level); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// dialTalk opens the connection of a talk.
func dialTalk(ctx context.Context, cfg *Config, u *url.URL) (*talk, error) {
	conn, err := transport(ctx, cfg, u)
	if err != nil {
		return nil, unreachable{err}
	}
	t := &talk{conn: conn, r: bufio.NewReader(conn), limit: cfg.longestPublish(), stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			t.end()
			return nil, err
		}
	}
	return t, nil
}

func (t *talk) login(who session, user, password string, level byte) error {
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.ClientIdentifier = "MQTT", level, who.clean, who.id
	c.Keepalive = uint16(keepAlive / time.Second)
	c.UsernameFlag, c.Username = user != "", user
	c.PasswordFlag, c.Password = user != "" && password != "", []byte(password)
	if w := who.will; w != nil {
		c.WillFlag, c.WillTopic, c.WillMessage = true, w.topic, w.payload
	}
	if err := c.Write(t.conn); err != nil {
		return err
	}
	p, err := t.until(packets.Connack)
	if err != nil {
		return err
	}
	t.present = p.(*packets.ConnackPacket).SessionPresent
	code := p.(*packets.ConnackPacket).ReturnCode
	if code == packets.Accepted {
		return nil
	}
	return refused{refusalOf(code)}
}

// refused: the broker has answered a CONNECT, and refuses it.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

func refusalOf(code byte) error {
	switch {
	case code == packets.ErrRefusedBadUsernameOrPassword, code == packets.ErrRefusedNotAuthorised:
		return errLogin
	case answerOf(code) == answerLevel:
		return errLevel
	case code == packets.ErrRefusedIDRejected:
		return errClientID
	case code == packets.ErrRefusedServerUnavailable:
		return errUnavailable
	}
	return fmt.Errorf("the broker refuses the login: %w", packets.ConnErrors[code])
}

// ask asks for filters at QoS 1. Retained messages may come before the answer (MQTT-3.8.4-3).
func (t *talk) ask(filters ...string) error {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics, p.Qoss = 1, filters, bytes.Repeat([]byte{1}, len(filters))
	return p.Write(t.conn)
}

// subscribe asks for one filter and waits for the answer.
func (t *talk) subscribe(filter string) error {
	if err := t.ask(filter); err != nil {
		return err
	}
	got, err := t.until(packets.Suback)
	if err != nil {
		return err
	}
	if codes := got.(*packets.SubackPacket).ReturnCodes; len(codes) != 1 || codes[0] > 2 {
		return errSubscribe
	}
	return nil
}

// publish sends at QoS 0.
func (t *talk) publish(topic string, payload []byte) error {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, payload
	return p.Write(t.conn)
}

// until reads on to a packet of one kind.
func (t *talk) until(kind byte) (packets.ControlPacket, error) {
	for {
		p, err := readPacket(t.r, t.limit)
		if err != nil {
			return nil, err
		}
		if kindOf(p) == kind {
			return p, nil
		}
	}
}

func kindOf(p packets.ControlPacket) byte {
	switch p.(type) {
	case *packets.ConnackPacket:
		return packets.Connack
	case *packets.SubackPacket:
		return packets.Suback
	case *packets.PublishPacket:
		return packets.Publish
	}
	return 0
}

// end says goodbye, and waits a moment until the broker has taken note: it closes then.
func (t *talk) end() { t.part([]byte{packets.Disconnect << 4, 0}) }

func (t *talk) part(disconnect []byte) {
	_, err := t.conn.Write(disconnect)
	if err == nil && t.conn.SetReadDeadline(time.Now().Add(partTimeout)) == nil {
		_, _ = io.Copy(io.Discard, t.conn) // until the broker closes
	}
	t.stop()
	_ = errors.Join(err, t.conn.Close()) // it has told what it was asked for
}

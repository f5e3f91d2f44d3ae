package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// talk is a plain conversation with a broker, packet by packet, under a client id that is not ours. The check
// and the look for a second relay use it, beside the session of the relay; the witness logs in to that.
type talk struct {
	conn    net.Conn
	stop    func() bool
	present bool // the broker has a session of this client id
}

// greet dials and logs in: with a clean session and a suffix to the client id, or, without one, to the session of
// the relay itself. ctx must have a deadline; it ends the talk.
func greet(ctx context.Context, cfg *Config, u *url.URL, suffix string, level byte) (*talk, error) {
	user, password, err := cfg.login(u)
	if err != nil {
		return nil, err
	}
	conn, err := transport(ctx, cfg, u)
	if err != nil {
		return nil, err
	}
	t := &talk{conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	if err == nil {
		err = t.login(cfg.ClientID+suffix, suffix != "", user, password, level)
	}
	if err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

func (t *talk) login(id string, clean bool, user, password string, level byte) error {
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.CleanSession, c.ClientIdentifier = "MQTT", level, clean, id
	c.Keepalive = uint16(keepAlive / time.Second)
	c.UsernameFlag, c.Username = user != "", user
	c.PasswordFlag, c.Password = user != "" && password != "", []byte(password)
	if err := c.Write(t.conn); err != nil {
		return err
	}
	p, err := t.until(packets.Connack)
	if err != nil {
		return err
	}
	t.present = p.(*packets.ConnackPacket).SessionPresent
	switch code := p.(*packets.ConnackPacket).ReturnCode; code {
	case packets.Accepted:
		return nil
	case packets.ErrRefusedBadUsernameOrPassword, packets.ErrRefusedNotAuthorised:
		return errLogin
	case packets.ErrRefusedBadProtocolVersion:
		return errLevel
	default:
		return fmt.Errorf("the broker refuses the login: %w", packets.ConnErrors[code])
	}
}

// subscribe asks for one filter at QoS 1.
func (t *talk) subscribe(filter string) error {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics, p.Qoss = 1, []string{filter}, []byte{1}
	if err := p.Write(t.conn); err != nil {
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
		p, err := packets.ReadPacket(t.conn)
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

// end says goodbye.
func (t *talk) end() {
	err := packets.NewControlPacket(packets.Disconnect).Write(t.conn)
	t.stop()
	_ = errors.Join(err, t.conn.Close()) // it has told what it was asked for
}

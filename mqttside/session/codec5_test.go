package session

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/google/go-cmp/cmp"
)

// FuzzCodec5 holds what is read and written here against the library. The library lets pass more.
func FuzzCodec5(f *testing.F) {
	f.Add(byte(0x30), []byte("\x00\x01t\x00x"))
	f.Add(byte(0x3d), []byte("\x00\x01t\x00\x07\x05\x02\x00\x00\x00\x09payload"))
	f.Add(byte(0x40), []byte("\x00\x01"))
	f.Add(byte(0x50), []byte("\x00\x01\x87"))
	f.Add(byte(0x50), []byte("\x00\x01\x97\x06\x1f\x00\x03why"))
	f.Add(byte(0x62), []byte("\xff\xff\x92\x00"))
	f.Add(byte(0x20), []byte("\x01\x00\x06\x22\x00\x0a\x21\x00\x14"))
	f.Add(byte(0x20), []byte("\x00\x00\x05\x11\x00\x00\x00\x3c"))
	f.Add(byte(0x20), []byte("\x00\x87\x00"))
	f.Add(byte(0x20), []byte("\x00\x00\x02\x25\x00"))
	f.Add(byte(0x90), []byte("\x00\x01\x00\x02"))
	f.Add(byte(0xe0), []byte("\x8e\x00"))
	f.Fuzz(func(t *testing.T, first byte, body []byte) {
		got, err := codec5{}.parse(first, body)
		if err != nil {
			if !errors.As(err, new(Breach)) {
				t.Errorf("got %v", err)
			}
			return
		}
		if got.kind == kindConnack && len(body) == 2 || got.kind == kindDisconnect && len(body) == 0 {
			return // of MQTT 3.1.1; one that the library has no room for
		}
		switch got.kind {
		case kindConnack, kindPublish, kindPuback, kindPubrec, kindPubrel, kindPubcomp, kindSuback, kindUnsuback, kindDisconnect:
		default:
			return
		}
		wire := append(appendLength([]byte{first}, len(body)), body...)
		lib, err := packets.ReadPacket(bytes.NewReader(wire))
		if err != nil {
			t.Fatalf("the library says %v of %x", err, wire)
		}
		if d := cmp.Diff(fromLibrary(lib), got, cmp.AllowUnexported(packet{})); d != "" {
			t.Errorf("%x: %s", wire, d)
		}
		if m, ok := lib.Content.(*packets.Publish); ok && len(m.Properties.Pack(packets.PUBLISH)) == 0 && len(m.Properties.User) == 0 {
			var out bytes.Buffer
			if _, err := m.WriteTo(&out); err != nil {
				t.Fatal(err)
			}
			if mine := (codec5{}).append(nil, &got); !bytes.Equal(mine, out.Bytes()) {
				t.Errorf("wrote %x, the library %x", mine, out.Bytes())
			}
		}
	})
}

func fromLibrary(lib *packets.ControlPacket) packet {
	p := packet{kind: lib.Type, id: lib.PacketID()}
	switch c := lib.Content.(type) {
	case *packets.Publish:
		p.id = 0
		p.Publish = Publish{Topic: c.Topic, Payload: c.Payload, QoS: c.QoS, Dup: c.Duplicate, Retain: c.Retain, PacketID: c.PacketID}
		if e := c.Properties.MessageExpiry; e != nil {
			expiry := time.Duration(*e) * time.Second
			p.Expiry = &expiry
		}
	case *packets.Puback:
		p.code, p.reason = c.ReasonCode, c.Properties.ReasonString
	case *packets.Pubrec:
		p.code, p.reason = c.ReasonCode, c.Properties.ReasonString
	case *packets.Pubrel:
		p.code, p.reason = c.ReasonCode, c.Properties.ReasonString
	case *packets.Pubcomp:
		p.code, p.reason = c.ReasonCode, c.Properties.ReasonString
	case *packets.Suback:
		p.codes = c.Reasons
	case *packets.Unsuback:
		p.codes = c.Reasons
	case *packets.Disconnect:
		p.code, p.reason = c.ReasonCode, c.Properties.ReasonString
	case *packets.Connack:
		p.code, p.reason, p.present = c.ReasonCode, c.Properties.ReasonString, c.SessionPresent
		p.limits = Limits{Receive: noMaximum, QoS: 2}
		if v := c.Properties.ReceiveMaximum; v != nil {
			p.limits.Receive = int(*v)
		}
		if v := c.Properties.MaximumQOS; v != nil {
			p.limits.QoS = *v
		}
		if v := c.Properties.RetainAvailable; v != nil {
			p.limits.NoRetain = *v == 0
		}
		if v := c.Properties.MaximumPacketSize; v != nil {
			p.limits.Packet = int(*v)
		}
		if v := c.Properties.SessionExpiryInterval; v != nil {
			expiry := time.Duration(*v) * time.Second
			p.limits.Expiry = &expiry
		}
		if v := c.Properties.ServerKeepAlive; v != nil {
			p.keepAlive = time.Duration(*v) * time.Second
		}
	}
	return p
}

// TestWritten5: rare packets as they are on the wire.
func TestWritten5(t *testing.T) {
	login := &Options{Level: Level5, ClientID: "c", Username: "u", Password: "p", Expiry: time.Hour, Will: &Will{"w", []byte("x"), 1, true}}
	for name, tc := range map[string]struct {
		p    packet
		want string
	}{
		"CONNECT":           {packet{kind: kindConnect, login: login}, "\x10\x20\x00\x04MQTT\x05\xec\x00\x0a\x05\x11\x00\x00\x0e\x10\x00\x01c\x00\x00\x01w\x00\x01x\x00\x01u\x00\x01p"},
		"for ever":          {packet{kind: kindConnect, login: &Options{Level: Level5, ClientID: "c", Expiry: 1 << 62}}, "\x10\x13\x00\x04MQTT\x05\x00\x00\x0a\x05\x11\xff\xff\xff\xff\x00\x01c"},
		"SUBSCRIBE":         {packet{kind: kindSubscribe, id: 258, filter: Filter{"a/+", 2, true, true}}, "\x82\x09\x01\x02\x00\x00\x03a/+\x26"},
		"of one's own, too": {packet{kind: kindSubscribe, id: 1, filter: Filter{Topic: "a", QoS: 1}}, "\x82\x07\x00\x01\x00\x00\x01a\x01"},
		"UNSUBSCRIBE":       {packet{kind: kindUnsubscribe, id: 1, filter: Filter{Topic: "a"}}, "\xa2\x06\x00\x01\x00\x00\x01a"},
		"PINGREQ":           {packet{kind: kindPingreq}, "\xc0\x00"},
		"DISCONNECT":        {packet{kind: kindDisconnect}, "\xe0\x02\x00\x00"},
		"with the session":  {packet{kind: kindDisconnect, end: true}, "\xe0\x07\x00\x05\x11\x00\x00\x00\x00"},
		"PUBLISH":           {packet{kind: kindPublish, Publish: Publish{Topic: "t", Payload: []byte("x"), QoS: 1, PacketID: 7}}, "\x32\x07\x00\x01t\x00\x07\x00x"},
		"PUBREL":            {packet{kind: kindPubrel, id: 7}, "\x62\x02\x00\x07"},
	} {
		if got := string(codec5{}.append([]byte("before"), &tc.p)); got != "before"+tc.want {
			t.Errorf("%s:\n%x, want\n%x", name, got[6:], tc.want)
		}
	}
}

// TestTopicAlias: the broker was offered none. A message without a topic would be refused, as one to nobody, and
// acknowledged.
func TestTopicAlias(t *testing.T) {
	for _, body := range []string{"\x00\x01t\x00\x07\x03\x23\x00\x01x", "\x00\x00\x00\x07\x03\x23\x00\x01x"} {
		if p, err := (codec5{}).parse(0x32, []byte(body)); !errors.As(err, new(Breach)) {
			t.Errorf("%x: %+v, %v", body, p, err)
		}
	}
}

// TestConnack5: what a broker says that it takes.
func TestConnack5(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want Limits
		code byte
		bad  bool
	}{
		"mosquitto at its defaults": {"\x00\x00\x06\x22\x00\x0a\x21\x00\x14", Limits{Receive: 20, QoS: 2}, 0, false},
		"behind other kinds": {"\x00\x00\x1c\x11\x00\x00\x00\x00\x24\x01\x25\x01\x27\x00\x00\x10\x00\x12\x00\x01x\x1f\x00\x00\x28\x01\x29\x01\x21\x00\x07",
			Limits{Receive: 7, Packet: 4096, QoS: 1, Expiry: new(time.Duration)}, 0, false},
		"none":              {"\x00\x00\x00", Limits{Receive: noMaximum, QoS: 2}, 0, false},
		"keeps nothing":     {"\x00\x00\x02\x25\x00", Limits{Receive: noMaximum, QoS: 2, NoRetain: true}, 0, false},
		"refused":           {"\x00\x87\x00", Limits{Receive: noMaximum, QoS: 2}, 0x87, false},
		"3.1.1 answer":      {"\x00\x01", Limits{}, 1, false},
		"3.1.1, let in":     {"\x00\x00", Limits{}, 0, true},
		"cut off":           {"\x00\x00\x03\x21", Limits{}, 0, true},
		"length that lies":  {"\x00\x00\x03\x1f\xff\xff", Limits{}, 0, true},
		"unknown property":  {"\x00\x00\x02\x7f\x00", Limits{}, 0, true},
		"more than it says": {"\x00\x00\x00\x00", Limits{}, 0, true},
		"nothing":           {"", Limits{}, 0, true},
	} {
		p, err := codec5{}.parse(kindConnack<<4, []byte(tc.body))
		if (err != nil) != tc.bad || err == nil && (!cmp.Equal(p.limits, tc.want) || p.code != tc.code) {
			t.Errorf("%s: %+v, code %#x, %v", name, p.limits, p.code, err)
		}
	}
}

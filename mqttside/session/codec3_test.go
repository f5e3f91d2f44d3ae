package session

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"
)

// FuzzCodec3 holds what is read and written here against the library, for the packets that are most of all.
func FuzzCodec3(f *testing.F) {
	f.Add(byte(0x30), []byte("\x00\x01tx"))
	f.Add(byte(0x3d), []byte("\x00\x01t\x00\x07payload"))
	f.Add(byte(0x34), []byte("\x00\x00\x00\x01"))
	f.Add(byte(0x40), []byte("\x00\x01"))
	f.Add(byte(0x62), []byte("\xff\xff"))
	f.Add(byte(0x70), []byte("\x01"))
	f.Fuzz(func(t *testing.T, first byte, body []byte) {
		if kind := first >> 4; kind < kindPublish || kind > kindPubcomp || len(body) > 1<<20 {
			t.Skip()
		}
		got, err := codec3{}.parse(first, body)
		if err != nil { // the library lets pass more
			if !errors.As(err, new(Breach)) {
				t.Errorf("got %v", err)
			}
			return
		}
		wire := append(appendLength([]byte{first}, len(body)), body...)
		want, err := packets.ReadPacket(bytes.NewReader(wire))
		if err != nil && !errors.Is(err, io.EOF) { // an empty payload is EOF there
			t.Fatalf("the library says %v of %x", err, wire)
		}
		var again packet
		if m, ok := want.(*packets.PublishPacket); ok {
			again = packet{kind: kindPublish, Publish: Publish{Topic: m.TopicName, Payload: m.Payload, QoS: m.Qos, Dup: m.Dup,
				Retain: m.Retain, PacketID: m.MessageID}}
		} else {
			again = packet{kind: first >> 4, id: want.Details().MessageID}
		}
		if d := cmp.Diff(again, got, cmp.AllowUnexported(packet{})); d != "" {
			t.Errorf("%x: %s", wire, d)
		}
		if canonical := got.kind<<4 | flag(got.kind == kindPubrel)<<1; got.kind == kindPublish || first == canonical {
			var out bytes.Buffer
			if err := want.Write(&out); err != nil {
				t.Fatal(err)
			}
			if mine := (codec3{}).append(nil, &got); !bytes.Equal(mine, out.Bytes()) {
				t.Errorf("wrote %x, the library %x", mine, out.Bytes())
			}
		}
	})
}

// appendLength writes a remaining length (MQTT-2.2.3).
func appendLength(b []byte, n int) []byte {
	for ; n > 0x7f; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// TestWritten: rare packets go out as the library writes them, behind what is there.
func TestWritten(t *testing.T) {
	login := &Options{Level: Level3Bridge, ClientID: "c", Username: "u", Password: "p", Will: &Will{"w", []byte("x"), 1, true}}
	for name, tc := range map[string]struct {
		p    packet
		want string
	}{
		"CONNECT":     {packet{kind: kindConnect, login: login}, "\x10\x19\x00\x04MQTT\x84\xec\x00\x0a\x00\x01c\x00\x01w\x00\x01x\x00\x01u\x00\x01p"},
		"a clean one": {packet{kind: kindConnect, login: &Options{Level: Level3, ClientID: "c", CleanStart: true, Password: "p"}}, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01c"},
		"SUBSCRIBE":   {packet{kind: kindSubscribe, id: 258, filter: Filter{Topic: "a/+", QoS: 2}}, "\x82\x08\x01\x02\x00\x03a/+\x02"},
		"UNSUBSCRIBE": {packet{kind: kindUnsubscribe, id: 1, filter: Filter{Topic: "a"}}, "\xa2\x05\x00\x01\x00\x01a"},
		"PINGREQ":     {packet{kind: kindPingreq}, "\xc0\x00"},
		"DISCONNECT":  {packet{kind: kindDisconnect}, "\xe0\x00"},
		"a long PUBLISH": {packet{kind: kindPublish, Publish: Publish{Topic: "t", Payload: bytes.Repeat([]byte("x"), 200)}},
			"\x30\xcb\x01\x00\x01t" + string(bytes.Repeat([]byte("x"), 200))},
	} {
		if got := string(codec3{}.append([]byte("before"), &tc.p)); got != "before"+tc.want {
			t.Errorf("%s: %x, want %x", name, got[6:], tc.want)
		}
	}
}

// TestTimedOut: only what the far end does counts as its closing.
func TestTimedOut(t *testing.T) {
	for _, tc := range []struct {
		err  error
		ours bool
	}{
		{io.EOF, false},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, false},
		{&net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}, false},
		{&net.OpError{Op: "write", Err: os.ErrDeadlineExceeded}, true},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}, true},
	} {
		if got := timedOut(tc.err); got != tc.ours {
			t.Errorf("%v: %v, want %v", tc.err, got, tc.ours)
		}
	}
}

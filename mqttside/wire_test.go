package mqttside

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// blind is an observer that only notes what it is told.
type blind struct {
	mu    sync.Mutex
	kinds []byte
	left  []uint16
	barrs int
	codes []byte
	subs  []byte
}

func (b *blind) note(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}
func (b *blind) connack(_ bool, code byte) { b.note(func() { b.codes = append(b.codes, code) }) }
func (b *blind) ack(kind byte, _ uint16) error {
	b.note(func() { b.kinds = append(b.kinds, kind) })
	return nil
}
func (b *blind) suback(code byte)  { b.note(func() { b.subs = append(b.subs, code) }) }
func (b *blind) leaving(id uint16) { b.note(func() { b.left = append(b.left, id) }) }
func (b *blind) writable()         {}
func (b *blind) breach()           {}
func (b *blind) barred(error)      { b.note(func() { b.barrs++ }) }

func publishPacket(id uint16) []byte {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.MessageID, p.TopicName, p.Payload = 2, id, "t", []byte{byte(id)}
	var b strings.Builder
	_ = p.Write(&b)
	return []byte(b.String())
}

// TestBarrier decides tickets one by one: one commit may fail between two that succeed.
func TestBarrier(t *testing.T) {
	errDisk := errors.New("disk full")
	tests := []struct {
		name   string
		failed uint64
		steps  []any // a ticket to raise, or a packet id to write
		want   []uint16
		barred bool
	}{
		{"all committed", 0, []any{uint64(1), uint16(1), uint64(2), uint16(2), uint16(3)}, []uint16{1, 2, 3}, false},
		{"none needed", 1, []any{uint16(1)}, []uint16{1}, false},
		{"the first fails", 1, []any{uint64(1), uint16(1), uint64(2), uint16(2)}, nil, true},
		{"the middle one fails", 2, []any{uint64(1), uint16(1), uint64(2), uint16(2), uint64(3), uint16(3)}, []uint16{1}, true},
		{"a failed one hides behind a newer one", 1, []any{uint64(1), uint64(2), uint16(1)}, nil, true},
		{"raised out of order", 1, []any{uint64(2), uint16(2), uint64(1), uint16(1)}, []uint16{2}, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			near, far := net.Pipe()
			observer := &blind{}
			gate := make(chan struct{}) // all is written before anything is decided
			w := newWire(near, observer, func(ctx context.Context, ticket uint64) error {
				select {
				case <-gate:
				case <-ctx.Done():
					select {
					case <-gate:
					default:
						return ctx.Err()
					}
				}
				if ticket == tc.failed {
					return errDisk
				}
				return nil
			}, 100)
			for _, s := range tc.steps {
				switch v := s.(type) {
				case uint64:
					w.raise(v)
				case uint16:
					if _, err := w.Write(publishPacket(v)); err != nil {
						t.Fatal(err)
					}
				}
			}
			close(gate)
			var got []uint16
			for range tc.want {
				p, err := packets.ReadPacket(far)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p.(*packets.PublishPacket).MessageID)
			}
			for i, id := range tc.want {
				if got[i] != id {
					t.Errorf("left: %v, want %v", got, tc.want)
				}
			}
			if tc.barred {
				if p, err := packets.ReadPacket(far); err == nil {
					t.Errorf("left although its commit failed: %v", p)
				}
				if err := w.reason(); !errors.Is(err, errBarrier) || observer.barrs != 1 {
					t.Errorf("closed with %v, told %d times", err, observer.barrs)
				}
			}
			w.close(io.EOF)
			w.join()
		})
	}
}

// A commit that does not come closes the wire in time: pings would wait behind it.
func TestBarrierInTime(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	observer := &blind{}
	w := newWire(near, observer, func(ctx context.Context, _ uint64) error { <-ctx.Done(); return ctx.Err() }, 100)
	w.raise(1)
	began := time.Now()
	if _, err := w.Write([]byte{0xc0, 0}); err != nil {
		t.Fatal(err)
	}
	<-w.closed
	w.join()
	if d := time.Since(began); d > pingTimeout || observer.barrs != 1 || !errors.Is(w.reason(), errBarrier) {
		t.Errorf("after %v, told %d times: %v", d, observer.barrs, w.reason())
	}
}

// TestFrames holds what paho gets to read against what a broker sent.
func TestFrames(t *testing.T) {
	const hi = "\x20\x02\x00\x00"                           // CONNACK
	long := "0\x83\x01\x00\x01t" + strings.Repeat("x", 128) // a PUBLISH of 131 bytes
	tests := []struct {
		name, sent, want string
		err              string // empty: the end
		seen             string // kinds of acknowledgements
	}{
		{"whole packets", "\x20\x02\x01\x00\x40\x02\x00\x01\xd0\x00", "\x20\x02\x01\x00\x40\x02\x00\x01\xd0\x00", "", "\x04"},
		{"every acknowledgement", hi + "\x40\x02\x00\x01\x50\x02\x00\x01\x62\x02\x00\x01\x70\x02\x00\x01",
			hi + "\x40\x02\x00\x01\x50\x02\x00\x01\x62\x02\x00\x01\x70\x02\x00\x01", "", "\x04\x05\x06\x07"},
		{"an oversize PUBLISH is cut", hi + long + "\xd0\x00", hi + "0\x64\x00\x01t" + strings.Repeat("x", 97) + "\xd0\x00", "", ""},
		{"CONNACK with an unknown code", "\x20\x02\x00\x80", "", "unknown code 128", ""},
		{"CONNACK of MQTT 5", "\x20\x03\x00\x84\x00", "", "unknown code 132", ""},
		{"an acknowledgement that is too long", hi + "\x40\x03\x00\x01\x00", hi, "malformed packet", ""},
		{"SUBACK for more than was asked", hi + "\x90\x04\x00\x01\x02\x02", hi, "malformed SUBACK", ""},
		{"SUBACK", hi + "\x90\x03\x00\x01\x80", hi + "\x90\x03\x00\x01\x80", "", ""},
		{"a long packet that is no PUBLISH", hi + "\xd0\x80\x10", hi, "packet of type 13", ""},
		{"a second CONNACK", hi + hi, hi, "breaks MQTT: a second CONNACK", ""},
		{"something before CONNACK", "\x40\x02\x00\x01", "", "breaks MQTT: a packet of type 4 before CONNACK", ""},
		{"a kind that is none", hi + "\x00\x00", hi, "breaks MQTT: a packet of type 0", ""},
		{"a kind that clients send", hi + "\xc0\x00", hi, "breaks MQTT: a packet of type 12", ""},
		{"QoS 3", hi + "\x36\x05\x00\x01t\x00\x01", hi, "breaks MQTT: a PUBLISH of QoS 3", ""},
		{"the packet id 0", hi + "\x34\x05\x00\x01t\x00\x00", hi, "breaks MQTT: a PUBLISH with the packet id 0", ""},
		{"a length without end", "\x30\xff\xff\xff\xff\x01", "", "malformed length", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			near, far := net.Pipe()
			observer := &blind{}
			w := newWire(near, observer, func(context.Context, uint64) error { return nil }, 100)
			go func() { _, _ = far.Write([]byte(tc.sent)); _ = far.Close() }() // ends with w
			got, err := io.ReadAll(readerOnly{w})
			want := tc.err
			if want == "" {
				want = "EOF"
			}
			if string(got) != tc.want || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, %v; want %q, %s", got, err, tc.want, want)
			}
			if string(observer.kinds) != tc.seen {
				t.Errorf("saw %q, want %q", observer.kinds, tc.seen)
			}
			w.join()
		})
	}
}

type readerOnly struct{ io.Reader }

package mqttside

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const longestAnswer = 1 << 10 // of anything a broker sends but a PUBLISH

// frame is the packet that paho is reading.
type frame struct {
	head []byte // a header of our own that stands in for the broker's
	left int    // bytes to hand on
	skip int    // bytes to leave out after them

	greeted bool // CONNACK has come
}

// Read hands paho the packets one by one; each has been looked at before its first byte is handed on.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.read(p)
	if err != nil {
		broken := errors.As(err, new(breach))
		if broken {
			w.observer.breach()
		} else {
			err = fmt.Errorf("read: %w", err)
		}
		w.end(err, !broken && !timedOut(err))
		return n, fmt.Errorf("mqttside: %w", w.reason())
	}
	return n, nil
}

// breach is what no broker may do.
type breach string

func breachf(format string, args ...any) error { return breach(fmt.Sprintf(format, args...)) }

func (b breach) Error() string { return "the broker breaks MQTT: " + string(b) }

func (w *wire) read(p []byte) (int, error) {
	f := &w.frame
	if len(f.head) == 0 && f.left == 0 {
		if err := w.next(); err != nil {
			return 0, hideClosed(err)
		}
		if w.pinged.CompareAndSwap(true, false) {
			// Whatever comes shows that the broker lives. Its own answer may stand behind a long backlog.
			f.head = append([]byte{packets.Pingresp << 4, 0}, f.head...)
		}
	}
	if len(f.head) > 0 {
		n := copy(p, f.head)
		f.head = f.head[n:]
		return n, nil
	}
	n, err := w.r.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, hideClosed(err)
}

// hideClosed: paho takes an error with the text of net.ErrClosed for a disconnect of its own.
func hideClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return io.EOF
	}
	return err
}

// next looks at the packet that begins here.
func (w *wire) next() error {
	if w.frame.skip > 0 {
		if _, err := w.r.Discard(w.frame.skip); err != nil {
			return err
		}
		w.frame.skip = 0
	}
	kind, head, length, err := w.header()
	if err != nil {
		return err
	}
	select {
	case <-w.closed: // what the old connection said does not count on the next one
		return io.EOF
	default:
	}
	w.frame.left = head + length
	if err := w.allowed(kind); err != nil {
		return err
	}
	if kind == packets.Publish {
		if err := w.line(head, length); err != nil {
			return err
		}
		w.shorten(head, length)
		return nil
	}
	if length > longestAnswer {
		return breachf("a packet of type %d with %d bytes", kind, length)
	}
	body, err := w.r.Peek(head + length)
	if err != nil {
		return err
	}
	return w.show(kind, body[head:])
}

// header reads the fixed header without taking it (MQTT-2.2).
func (w *wire) header() (kind byte, head, length int, err error) {
	for head = 2; head <= 5; head++ {
		b, err := w.r.Peek(head)
		if err != nil {
			return 0, 0, 0, err
		}
		length |= int(b[head-1]&0x7f) << (7 * (head - 2))
		if b[head-1]&0x80 == 0 {
			return b[0] >> 4, head, length, nil
		}
	}
	return 0, 0, 0, breachf("a malformed length")
}

// allowed holds the kind of packet against what may come now (MQTT-2.2.1, MQTT-3.2.0-1, MQTT-3.2.0-2).
func (w *wire) allowed(kind byte) error {
	switch kind {
	case packets.Connack:
		if w.frame.greeted {
			return breachf("a second CONNACK")
		}
		w.frame.greeted = true
		return nil
	case packets.Publish, packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp,
		packets.Suback, packets.Unsuback, packets.Pingresp:
		if !w.frame.greeted {
			return breachf("a packet of type %d before CONNACK", kind)
		}
		return nil
	}
	return breachf("a packet of type %d, which no broker sends", kind)
}

// line puts a PUBLISH that takes a packet id in line (MQTT-3.3.2).
func (w *wire) line(head, length int) error {
	first, _ := w.r.Peek(1) // header has seen it
	switch first[0] & 0x06 {
	case 0:
		return nil
	case 0x06: // MQTT-3.3.1-4
		return breachf("a PUBLISH of QoS 3")
	}
	at := head + 2
	b, err := w.r.Peek(at)
	if err != nil {
		return err
	}
	at += int(binary.BigEndian.Uint16(b[head:])) + 2
	if at > head+length {
		return breachf("a malformed PUBLISH")
	}
	if b, err = w.r.Peek(at); err != nil {
		return err
	}
	id := binary.BigEndian.Uint16(b[at-2:])
	if id == 0 { // MQTT-2.3.1-1
		return breachf("a PUBLISH with the packet id 0")
	}
	w.await(id)
	return nil
}

// shorten cuts an oversize PUBLISH before paho makes room for it. What is left is still oversize, so that it is
// refused, counted and acknowledged; to drop the connection would bring the same message again, for ever.
func (w *wire) shorten(head, length int) {
	if length <= w.limit {
		return
	}
	first, _ := w.r.Peek(1) // header has seen it
	w.frame.head = binary.AppendUvarint([]byte{first[0]}, uint64(w.limit))
	_, _ = w.r.Discard(head) // likewise
	w.frame.left, w.frame.skip = w.limit, length-w.limit
}

// show tells of an answer before paho acts on it.
func (w *wire) show(kind byte, body []byte) error {
	switch kind {
	case packets.Connack:
		if len(body) >= 2 && answerOf(body[1]) == answerLevel && body[1] != packets.ErrRefusedBadProtocolVersion {
			w.observer.connack(false, body[1]) // paho would take it for a success
			return fmt.Errorf("the broker refuses the login with the unknown code %d", body[1])
		}
		if len(body) != 2 {
			return breachf("a malformed CONNACK")
		}
		w.observer.connack(body[0]&1 != 0, body[1])
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		if len(body) != 2 {
			return breachf("a malformed packet of type %d", kind)
		}
		id := binary.BigEndian.Uint16(body)
		if kind == packets.Pubrel {
			w.await(id)
		}
		return w.observer.ack(kind, id)
	case packets.Pingresp:
		w.pings.answer()
	case packets.Suback:
		if len(body) != 3 { // one filter was asked for; paho panics when more are answered
			return breachf("a malformed SUBACK")
		}
		w.observer.suback(body[2])
	}
	return nil
}

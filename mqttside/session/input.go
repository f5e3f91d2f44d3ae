package session

import (
	"bufio"
	"fmt"
	"io"
)

const readBuffer = 64 << 10

// input cuts what comes into packets.
type input struct {
	r       *bufio.Reader
	codec   codec
	longest int // Options.Longest
}

// next reads a packet.
func (in *input) next() (packet, error) {
	first, length, err := in.header()
	if err != nil {
		return packet{}, err
	}
	kind := first >> 4
	skip := 0
	switch {
	case kind != kindPublish && length > in.codec.longest():
		return packet{}, breachf("a packet of type %d with %d bytes", kind, length)
	case in.longest > 0 && length > in.longest:
		// What is left is still too long, so that it is refused and acknowledged; to end the connection would bring the
		// same message again, for ever.
		length, skip = in.longest, length-in.longest
	}
	body, err := in.body(length)
	if err == nil {
		_, err = in.r.Discard(skip)
	}
	if err != nil {
		return packet{}, fmt.Errorf("read: %w", err)
	}
	if skip > 0 { // properties may be cut, too: they count as payload
		p, err := parsePublish(first, body, false)
		return packet{kind: kind, Publish: p}, err
	}
	return in.codec.parse(first, body)
}

// header reads a fixed header (MQTT-2.2).
func (in *input) header() (first byte, length int, err error) {
	if first, err = in.r.ReadByte(); err != nil {
		return 0, 0, fmt.Errorf("read: %w", err)
	}
	for shift := 0; shift < 28; shift += 7 {
		b, err := in.r.ReadByte()
		if err != nil {
			return 0, 0, fmt.Errorf("read: %w", err)
		}
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			return first, length, nil
		}
	}
	return 0, 0, breachf("a malformed length")
}

// body makes room for no more than has come: a length may lie.
func (in *input) body(length int) ([]byte, error) {
	body := make([]byte, 0, min(length, readBuffer))
	for len(body) < length {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := io.ReadFull(in.r, body[len(body):min(length, cap(body))])
		body = body[:len(body)+n]
		if err != nil {
			return nil, err
		}
	}
	return body, nil
}

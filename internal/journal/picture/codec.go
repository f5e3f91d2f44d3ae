package picture

import (
	"encoding/binary"
	"errors"
	"fmt"

	"chatrelay/bridge"
	"chatrelay/message"
)

// ErrNewer says that a frame was written by a newer chatrelay: this one must not guess what it means.
var ErrNewer = errors.New("the journal was written by a newer chatrelay")

// ErrBad says that a frame is none.
var ErrBad = errors.New("a frame of the log makes no sense")

// version of the format. What is written with it stays readable for ever (testdata).
const version = 1

// codec writes the fields of a fact, or reads them: so each fact has its format written down once (format.go). Numbers
// are varints; texts, bytes and lists have their length in front.
type codec struct {
	reading bool
	buf     []byte
	at      int   // read so far
	err     error // why reading ended
}

// Encode appends a frame. It notes in the facts where their bodies begin, from the first byte of the frame on.
func Encode(dst []byte, h Head, facts []Fact) []byte {
	c := codec{buf: dst, at: len(dst)}
	c.buf = append(c.buf, version)
	c.head(&h)
	for _, f := range facts {
		c.buf = append(c.buf, f.kind())
		f.code(&c)
	}
	return c.buf
}

// Decode reads a frame. Bodies are parts of it, which must not change any more.
func Decode(frame []byte) (h Head, facts []Fact, err error) {
	c := codec{reading: true, buf: frame}
	var v, kind uint8
	if c.byte(&v); c.err == nil && v != version {
		return h, nil, fmt.Errorf("%w: a frame of version %d", ErrNewer, v)
	}
	c.head(&h)
	for c.err == nil && c.at < len(c.buf) {
		c.byte(&kind)
		f := newFact(kind)
		if f == nil {
			return h, nil, fmt.Errorf("%w: a fact of kind %d", ErrNewer, kind)
		}
		f.code(&c)
		facts = append(facts, f)
	}
	return h, facts, c.err
}

func (c *codec) head(h *Head) {
	c.uint(&h.N)
	c.int(&h.At)
	c.int(&h.Ran)
}

func (c *codec) fail() {
	if c.err == nil {
		c.err = fmt.Errorf("%w: at byte %d of %d", ErrBad, c.at, len(c.buf))
	}
	c.at = len(c.buf)
}

// take is the next n bytes of what is read.
func (c *codec) take(n uint64) []byte {
	if n > uint64(len(c.buf)-c.at) {
		c.fail()
		return nil
	}
	c.at += int(n)
	return c.buf[c.at-int(n) : c.at : c.at]
}

func (c *codec) byte(v *uint8) {
	if !c.reading {
		c.buf = append(c.buf, *v)
	} else if b := c.take(1); b != nil {
		*v = b[0]
	}
}

func (c *codec) bool(v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	if c.byte(&b); b > 1 {
		c.fail()
	}
	*v = b == 1
}

func (c *codec) uint(v *uint64) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	n, size := binary.Uvarint(c.buf[c.at:])
	if size <= 0 {
		c.fail()
		return
	}
	c.at += size
	*v = n
}

func (c *codec) int(v *int64) {
	if !c.reading {
		c.buf = binary.AppendVarint(c.buf, *v)
		return
	}
	n, size := binary.Varint(c.buf[c.at:])
	if size <= 0 {
		c.fail()
		return
	}
	c.at += size
	*v = n
}

func (c *codec) uint32(v *uint32) {
	n := uint64(*v)
	if c.uint(&n); n > 1<<32-1 {
		c.fail()
		return
	}
	*v = uint32(n)
}

func (c *codec) uint16(v *uint16) {
	n := uint64(*v)
	if c.uint(&n); n > 1<<16-1 {
		c.fail()
		return
	}
	*v = uint16(n)
}

// number is one that is not negative and small.
func (c *codec) number(v *int) {
	n := uint64(*v)
	if c.uint(&n); n > 1<<31-1 {
		c.fail()
		return
	}
	*v = int(n)
}

func (c *codec) bytes(v *[]byte) {
	n := uint64(len(*v))
	if c.uint(&n); c.reading {
		*v = c.take(n)
		return
	}
	c.buf = append(c.buf, *v...)
}

// orNil is bytes that may be absent.
func (c *codec) orNil(v *[]byte) {
	has := *v != nil
	if c.bool(&has); has {
		c.bytes(v)
	}
}

// begins notes where the last of those bytes begin.
func (c *codec) begins(at *int, v []byte) {
	if c.reading {
		*at = c.at - len(v)
		return
	}
	*at = len(c.buf) - c.at - len(v)
}

func (c *codec) text(v *string) {
	n := uint64(len(*v))
	if c.uint(&n); c.reading {
		*v = string(c.take(n))
		return
	}
	c.buf = append(c.buf, *v...)
}

// length is of a list each part of which takes at least so many bytes.
func (c *codec) length(n, least int) int {
	c.number(&n)
	if c.reading && n > (len(c.buf)-c.at)/least {
		c.fail()
		return 0
	}
	return n
}

func (c *codec) keys(v *[]message.Key) {
	n := c.length(len(*v), len(message.Key{}))
	if !c.reading {
		for _, k := range *v {
			c.buf = append(c.buf, k[:]...)
		}
		return
	}
	for range n {
		*v = append(*v, message.Key(c.take(uint64(len(message.Key{})))))
	}
}

func (c *codec) side(v *bridge.SideID) {
	if c.byte((*uint8)(v)); *v > bridge.XMPP {
		c.fail()
		*v = 0
	}
}

func (c *codec) ref(v *bridge.Ref) {
	c.uint(&v.Msg)
	c.uint16(&v.Delivery)
}

// refusal is nil for what is none.
func (c *codec) refusal(v **bridge.Refusal) {
	has := *v != nil
	if c.bool(&has); !has {
		return
	}
	if c.reading {
		*v = &bridge.Refusal{}
	}
	c.text(&(*v).Reason)
	c.text(&(*v).Text)
}

func (c *codec) note(v *bridge.Note) {
	reply := v.Reply.Stored()
	has := v.Post != nil
	c.text(&v.Status)
	c.text(&v.Reason)
	c.text(&v.Text)
	c.int(&v.At)
	c.text(&reply)
	if c.bool(&has); c.reading {
		v.Reply = bridge.ParseReplyTo(reply)
		if has {
			v.Post = &bridge.Post{}
		}
	}
	if has {
		c.text(&v.Post.Room)
		c.text(&v.Post.Via)
	}
}

func (c *codec) deliveries(v *[]bridge.Delivery) {
	n := c.length(len(*v), 10)
	if c.reading {
		*v = make([]bridge.Delivery, n)
	}
	for i := range *v {
		d := &(*v)[i]
		c.side(&d.Side)
		c.byte((*uint8)(&d.Kind))
		c.text(&d.To)
		c.text(&d.Lane)
		c.note(&d.Note)
	}
	if c.err != nil {
		*v = nil
	}
}

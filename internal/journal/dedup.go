package journal

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"chatrelay/bridge"
	"chatrelay/message"
)

// generations: a key lives for the window and at most a quarter longer, so that forgetting is dropping a map.
const (
	perWindow = 4
	perMax    = 8 // a generation is also closed when it has this part of the keys that may be kept
)

// mark is what is kept with a key: the number of the message that had it first, and on which inbox that came
// in. What became of the message is looked up by the number: so one bit of truth serves all its keys.
type mark struct{ hi, lo, via uint32 }

func newMark(msg uint64, via uint32) mark { return mark{uint32(msg >> 32), uint32(msg), via} }

func (m mark) msg() uint64 { return uint64(m.hi)<<32 | uint64(m.lo) }

// generation is the keys of a stretch of running time. No pointers: the garbage collector skips it.
type generation struct {
	n      uint64
	born   int64                                 // running ms
	ended  int64                                 // running ms of its last key
	moved  int                                   // keys that it began with
	keys   [bridge.XMPP + 1]map[message.Key]mark // by origin
	failed map[uint64]string                     // messages that are dead or bounced, and why
}

func newGeneration(n uint64, born int64) *generation {
	g := &generation{n: n, born: born, ended: born, failed: map[uint64]string{}}
	for i := range g.keys {
		g.keys[i] = map[message.Key]mark{}
	}
	return g
}

func (g *generation) count() int {
	n := 0
	for _, keys := range g.keys {
		n += len(keys)
	}
	return n
}

// memory is the dedup index: what is known, youngest generation last. Changed by the writer only, under
// Journal.mu.
type memory struct {
	gens []*generation
	max  int
	span int64 // ms a generation lasts
	all  int   // keys
}

func (d *memory) young() *generation { return d.gens[len(d.gens)-1] }

func (d *memory) find(origin bridge.SideID, key message.Key) (mark, bool) {
	if int(origin) >= len(d.gens[0].keys) {
		return mark{}, false
	}
	for i := len(d.gens) - 1; i >= 0; i-- {
		if m, ok := d.gens[i].keys[origin][key]; ok {
			return m, true
		}
	}
	return mark{}, false
}

// why tells the reason with which a message failed.
func (d *memory) why(msg uint64) (string, bool) {
	for i := len(d.gens) - 1; i >= 0; i-- {
		if text, ok := d.gens[i].failed[msg]; ok {
			return text, true
		}
	}
	return "", false
}

func (d *memory) add(origin bridge.SideID, key message.Key, m mark) {
	d.young().keys[origin][key] = m
	d.all++
}

func (d *memory) remove(origin bridge.SideID, key message.Key) {
	delete(d.young().keys[origin], key)
	d.all--
}

// genCap is how many keys close a generation.
func (d *memory) genCap() int { return max(1, d.max/perMax) }

// due tells whether the youngest generation is to be closed, or the oldest has outlived the window.
func (d *memory) due(ran int64) bool {
	g := d.young()
	n := g.count()
	if n-g.moved >= d.genCap() || n > 0 && ran-g.born >= d.span {
		return true
	}
	for _, g := range d.gens {
		if g.count() > 0 {
			return d.old(g, ran)
		}
	}
	return false
}

func (d *memory) old(g *generation, ran int64) bool { return ran-g.ended >= d.span*perWindow }

// outlived is how many of the oldest generations go when a new one begins: first those, aged, whose last key is
// older than the window, then as many more as the limit asks for. Pinned keys would only come back: they do not
// count against the limit, or a journal full of pending messages would move all their keys with each commit.
func (d *memory) outlived(ran, pinned int64) (n, aged int) {
	left := int64(d.all) - pinned
	for n < len(d.gens) && d.old(d.gens[n], ran) {
		left -= int64(d.gens[n].count())
		n++
	}
	aged = n
	for n < len(d.gens) && left+int64(d.genCap()) > int64(d.max) {
		left -= int64(d.gens[n].count())
		n++
	}
	return n, aged
}

// seenKey is one key as it is packed into a row of seen.
type seenKey struct {
	key    message.Key
	origin bridge.SideID
	mark   mark
}

const seenSize = 16 + 1 + 4 + 8

func pack(keys []seenKey) []byte {
	b := make([]byte, 0, len(keys)*seenSize)
	for _, k := range keys {
		b = append(b, k.key[:]...)
		b = append(b, byte(k.origin))
		b = binary.BigEndian.AppendUint32(b, k.mark.via)
		b = binary.BigEndian.AppendUint64(b, k.mark.msg())
	}
	return b
}

// unpack puts a row of seen into the youngest generation.
func (d *memory) unpack(b []byte) error {
	if len(b)%seenSize != 0 {
		return fmt.Errorf("%w: a row of seen has %d bytes", ErrDamaged, len(b))
	}
	for ; len(b) > 0; b = b[seenSize:] {
		origin := bridge.SideID(b[16])
		if origin != bridge.MQTT && origin != bridge.XMPP {
			return fmt.Errorf("%w: a key in seen has side %d", ErrDamaged, origin)
		}
		m := newMark(binary.BigEndian.Uint64(b[21:]), binary.BigEndian.Uint32(b[17:]))
		d.young().keys[origin][message.Key(b[:16])] = m
	}
	return nil
}

// viaHash tells inboxes apart well enough: a clash makes one retry answered that should be met by silence.
func viaHash(via string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(via)) // a hash never errs
	return h.Sum32()
}

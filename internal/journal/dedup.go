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

// dedupEntry is what is kept with a key: the number of the message that had it first, and on which inbox that came
// in. What became of the message is looked up by the number: so one bit of truth serves all its keys.
type dedupEntry struct{ hi, lo, via uint32 }

func newDedupEntry(msg uint64, via uint32) dedupEntry {
	return dedupEntry{uint32(msg >> 32), uint32(msg), via}
}

func (first dedupEntry) msg() uint64 { return uint64(first.hi)<<32 | uint64(first.lo) }

// generation is the keys of a stretch of running time. No pointers: the garbage collector skips it.
type generation struct {
	n      uint64
	began  int64                                       // running ms
	ended  int64                                       // running ms of its last key
	moved  int                                         // keys that it began with
	keys   [bridge.XMPP + 1]map[message.Key]dedupEntry // by origin
	failed map[uint64]string                           // messages that are dead or bounced, and why
}

func newGeneration(n uint64, began int64) *generation {
	g := &generation{n: n, began: began, ended: began, failed: map[uint64]string{}}
	for i := range g.keys {
		g.keys[i] = map[message.Key]dedupEntry{}
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

// dedupIndex is the dedup index: what is known, youngest generation last. Changed by the writer only, under
// Journal.mu.
type dedupIndex struct {
	generations []*generation
	max         int
	span        int64 // ms a generation lasts
	all         int   // keys
}

func (d *dedupIndex) current() *generation { return d.generations[len(d.generations)-1] }

func (d *dedupIndex) find(origin bridge.SideID, key message.Key) (dedupEntry, bool) {
	if int(origin) >= len(d.generations[0].keys) {
		return dedupEntry{}, false
	}
	for i := len(d.generations) - 1; i >= 0; i-- {
		if first, ok := d.generations[i].keys[origin][key]; ok {
			return first, true
		}
	}
	return dedupEntry{}, false
}

// failure tells the reason with which a message failed.
func (d *dedupIndex) failure(msg uint64) (string, bool) {
	for i := len(d.generations) - 1; i >= 0; i-- {
		if text, ok := d.generations[i].failed[msg]; ok {
			return text, true
		}
	}
	return "", false
}

func (d *dedupIndex) add(origin bridge.SideID, key message.Key, first dedupEntry) {
	d.current().keys[origin][key] = first
	d.all++
}

func (d *dedupIndex) remove(origin bridge.SideID, key message.Key) {
	delete(d.current().keys[origin], key)
	d.all--
}

// genCap is how many keys close a generation.
func (d *dedupIndex) genCap() int { return max(1, d.max/perMax) }

// due tells whether the youngest generation is to be closed, or the oldest has outlived the window.
func (d *dedupIndex) due(ran int64) bool {
	g := d.current()
	n := g.count()
	if n-g.moved >= d.genCap() || n > 0 && ran-g.began >= d.span {
		return true
	}
	for _, g := range d.generations {
		if g.count() > 0 {
			return d.old(g, ran)
		}
	}
	return false
}

func (d *dedupIndex) old(g *generation, ran int64) bool { return ran-g.ended >= d.span*perWindow }

// expired is how many of the oldest generations go when a new one begins: first those, aged, whose last key is
// older than the window, then as many more as the limit asks for. Pinned keys would only come back: they do not
// count against the limit, or a journal full of pending messages would move all their keys with each commit.
func (d *dedupIndex) expired(ran, pinned int64) (n, aged int) {
	left := int64(d.all) - pinned
	for n < len(d.generations) && d.old(d.generations[n], ran) {
		left -= int64(d.generations[n].count())
		n++
	}
	aged = n
	for n < len(d.generations) && left+int64(d.genCap()) > int64(d.max) {
		left -= int64(d.generations[n].count())
		n++
	}
	return n, aged
}

// seenKey is one key as it is packed into a row of seen.
type seenKey struct {
	key    message.Key
	origin bridge.SideID
	entry  dedupEntry
}

const seenSize = 16 + 1 + 4 + 8

func pack(keys []seenKey) []byte {
	b := make([]byte, 0, len(keys)*seenSize)
	for _, k := range keys {
		b = append(b, k.key[:]...)
		b = append(b, byte(k.origin))
		b = binary.BigEndian.AppendUint32(b, k.entry.via)
		b = binary.BigEndian.AppendUint64(b, k.entry.msg())
	}
	return b
}

// unpack puts a row of seen into the youngest generation.
func (d *dedupIndex) unpack(b []byte) error {
	if len(b)%seenSize != 0 {
		return fmt.Errorf("%w: a row of seen has %d bytes", ErrDamaged, len(b))
	}
	for ; len(b) > 0; b = b[seenSize:] {
		origin := bridge.SideID(b[16])
		if origin != bridge.MQTT && origin != bridge.XMPP {
			return fmt.Errorf("%w: a key in seen has side %d", ErrDamaged, origin)
		}
		first := newDedupEntry(binary.BigEndian.Uint64(b[21:]), binary.BigEndian.Uint32(b[17:]))
		d.current().keys[origin][message.Key(b[:16])] = first
	}
	return nil
}

// viaHash tells inboxes apart well enough: a clash makes one retry answered that should be met by silence.
func viaHash(via string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(via)) // a hash never errs
	return h.Sum32()
}

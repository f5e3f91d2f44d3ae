package sm

import (
	"fmt"
	"math"
	"time"
)

// item is a stanza in the outbox.
type item struct {
	Stanza
	ticket uint64    // of its binding; 0: not bound. Maybe is set once its bytes may have left
	kept   bool      // an earlier binding is committed: the journal holds it, even if this one's commit fails
	settle uint64    // inbound stanza that is done when the server has this one; 0: none
	early  *early    // the same, of an early one; nil: none
	reply  bool      // Connection.Reply
	since  time.Time // when it was taken, or the stream resumed with it; of those with a tag
}

// outbox is what was taken for sending and is not acknowledged, in the order of the wire. While a connection
// carries it the numbers are without gaps.
type outbox struct {
	acked   uint64 // the server has all up to here
	top     uint64 // the highest number given
	sent    uint64 // the highest number that the server may have, on whatever connection
	loaded  bool   // from a saved State: untagged stanzas are unknown, top is a guess
	queue   []*item
	next    int       // queue[next:] was not written on this connection
	tags    int       // of queue, those with a tag: they alone take places of the window
	replies int       // of queue
	settle  []uint64  // of items that the server has
	early   []*early  // likewise
	since   time.Time // of the last one with a tag that the server has
}

func newOutbox(saved []Stanza) outbox {
	o := outbox{loaded: true}
	for _, s := range saved {
		s.Maybe = true // nobody knows what left before the process ended
		o.push(&item{Stanza: s, kept: true})
		o.top = s.N
	}
	if len(saved) > 0 {
		o.acked = saved[0].N - 1
	}
	return o
}

func (o *outbox) add(raw []byte, tag any) *item {
	o.top++
	it := &item{Stanza: Stanza{N: o.top, Raw: raw, Tag: tag}}
	o.push(it)
	return it
}

func (o *outbox) push(it *item) {
	o.queue = append(o.queue, it)
	o.count(it, 1)
}

// count notes that an item is in the queue, or (-1) no longer.
func (o *outbox) count(it *item, d int) {
	if it.Tag != nil {
		o.tags += d
	}
	if it.reply {
		o.replies += d
	}
}

// written is the number of the last stanza written on this connection.
func (o *outbox) written() uint64 {
	if o.next == 0 {
		return o.acked
	}
	return o.queue[o.next-1].N
}

// slowest is the pace, in bytes a second, at which a server may read that limits us (Debian's ejabberd: 3,000).
const slowest = 2500

// longest is how long a server that reads slowly may need for the largest stanza that it has not confirmed: it
// answers nothing meanwhile.
func (o *outbox) longest() time.Duration {
	most := 0
	for _, it := range o.queue[:o.next] {
		most = max(most, len(it.Raw))
	}
	return time.Duration(most) * time.Second / slowest
}

// take moves whole stanzas to buf: those that are committed, up to the size of a write, but at least one; and up
// to room, but one of any size when alone. When single, a tagged one leaves only when no other is
// unacknowledged.
func (o *outbox) take(buf []byte, committed uint64, room int, alone, single bool) []byte {
	start := len(buf)
	for o.next < len(o.queue) {
		it := o.queue[o.next]
		size := len(buf) + len(it.Raw)
		if it.ticket > committed || size > min(room, writeSize) && (len(buf) > start || !alone && size > room) {
			break
		}
		if single && it.Tag != nil && len(tagged(o.queue[:o.next])) > 0 {
			break
		}
		it.Maybe = true
		o.sent = max(o.sent, it.N)
		buf = append(buf, it.Raw...)
		o.next++
	}
	return buf
}

// first is the size of the next stanza that may leave; 0: there is none.
func (o *outbox) first(committed uint64) int {
	if o.next == len(o.queue) || o.queue[o.next].ticket > committed {
		return 0
	}
	return len(o.queue[o.next].Raw)
}

// fills tells whether whole stanzas that are committed fill room with at least so many bytes, and the next one has
// no place there.
func (o *outbox) fills(committed uint64, room, least int) bool {
	n := 0
	for _, it := range o.queue[o.next:] {
		switch size := n + len(it.Raw); {
		case it.ticket > committed:
			return false
		case size > room:
			return n >= least
		default:
			n = size
		}
	}
	return false
}

// ack takes an <a h>: it returns what is now with the server. Counters are modulo 2^32 (XEP-0198 §4).
func (o *outbox) ack(h uint32) ([]Stanza, error) {
	d := int32(h - uint32(o.acked))
	if d <= 0 {
		return nil, nil // an older count says nothing new
	}
	n := o.acked + uint64(d)
	if n > o.written() {
		return nil, fmt.Errorf("%w: %d acknowledged, %d sent", ErrProtocol, h, uint32(o.written()))
	}
	return o.drop(n), nil
}

// resumed takes the h of <resumed/> or <failed/>. What the server has not is then known not to have
// arrived, and to be sent as h+1 and so on; moved are those whose number changed.
func (o *outbox) resumed(h uint32) (done []Stanza, moved []*item, err error) {
	n, err := o.absolute(h)
	if err != nil {
		return nil, nil, err
	}
	done = o.drop(n)
	o.acked, o.sent, o.next, o.loaded = n, n, 0, false
	for i, it := range o.queue {
		it.Maybe = false
		if want := n + 1 + uint64(i); it.N != want {
			it.N = want
			moved = append(moved, it)
		}
	}
	o.top = n + uint64(len(o.queue))
	return done, moved, nil
}

// absolute finds the full number that h is the lower half of.
func (o *outbox) absolute(h uint32) (uint64, error) {
	if o.loaded && len(o.queue) == 0 {
		return uint64(h), nil
	}
	d := int64(int32(h - uint32(o.acked)))
	if d < 0 && uint64(-d) > o.acked {
		d += math.MaxUint32 + 1 // there is no number below 0: it went once round
	}
	if o.loaded { // untagged stanzas around the saved ones may be in h or not
		return o.acked + uint64(d), nil
	}
	if d < 0 || o.acked+uint64(d) > o.sent {
		return 0, fmt.Errorf("%w: %d acknowledged on resumption, of %d to %d", ErrProtocol, h, uint32(o.acked), uint32(o.sent))
	}
	return o.acked + uint64(d), nil
}

// drop takes all up to number n off the front.
func (o *outbox) drop(n uint64) (done []Stanza) {
	k := 0
	for ; k < len(o.queue) && o.queue[k].N <= n; k++ {
		if o.queue[k].Tag != nil {
			done = append(done, o.queue[k].Stanza)
			o.since = o.queue[k].since
		}
		if n := o.queue[k].settle; n != 0 {
			o.settle = append(o.settle, n)
		}
		if e := o.queue[k].early; e != nil {
			o.early = append(o.early, e)
		}
		o.count(o.queue[k], -1)
		o.queue[k] = nil
	}
	o.queue = o.queue[k:]
	o.next = max(o.next-k, 0)
	o.acked = max(o.acked, n)
	return done
}

// remove takes out the items for which it is true, wherever they stand; the numbers are mended by the
// next resumption.
func (o *outbox) remove(f func(*item) bool) {
	kept := o.queue[:0:0]
	next := o.next
	for i, it := range o.queue {
		switch {
		case !f(it):
			kept = append(kept, it)
			continue
		case i < o.next:
			next--
		}
		o.count(it, -1)
	}
	o.queue, o.next = kept, next
}

// tagged lists the owner's stanzas among items.
func tagged(items []*item) (out []Stanza) {
	for _, it := range items {
		if it.Tag != nil {
			out = append(out, it.Stanza)
		}
	}
	return out
}

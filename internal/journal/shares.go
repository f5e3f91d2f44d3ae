package journal

import (
	"hash/maphash"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// Shares (DESIGN 6): once more than half of the room is taken, who holds more than a quarter of the whole gets no
// more: a sender (counted apart for each side it may come from, for on MQTT nobody proves who he is), or a
// destination. Below half there are no shares: a quiet relay may give all its room to one.
const (
	shareFrom = 2 // of the whole must be taken before shares count: a half
	shareMost = 4 // of the whole for each: a quarter
	blockSize = 256
)

// holding is what waits of one sender, or for one destination.
type holding struct {
	deliveries uint32
	blocks     uint32 // of their messages in the file
}

// shares counts what each holds. Names are hashed: a million names would be more than what they wait for.
// Guarded by Journal.mu.
type shares struct {
	seed     maphash.Seed
	holdings map[uint64]holding
}

func newShares() shares { return shares{maphash.MakeSeed(), map[uint64]holding{}} }

// holder names a sender of a side, or a destination on one.
type holder struct {
	dest bool
	side bridge.SideID
	name string
}

func (s *shares) of(h holder) holding { return s.holdings[maphash.Comparable(s.seed, h)] }

func (s *shares) change(h holder, deliveries, blocks int) {
	key := maphash.Comparable(s.seed, h)
	was := s.holdings[key]
	was.deliveries, was.blocks = was.deliveries+uint32(deliveries), was.blocks+uint32(blocks)
	if was == (holding{}) {
		delete(s.holdings, key)
		return
	}
	s.holdings[key] = was
}

// add counts a delivery that waits. Its message's body is held once by the sender, for as long as anything of it
// waits, be it only the notice that it failed; and by each destination.
func (s *shares) add(d *delivery) {
	d.Message.Waiting++
	s.count(d, 1, d.Message.Waiting == 1)
}

// remove takes it off again.
func (s *shares) remove(d *delivery) {
	d.Message.Waiting--
	s.count(d, -1, d.Message.Waiting == 0)
}

func (s *shares) count(d *delivery, sign int, body bool) {
	m := d.Message
	x := bridge.Delivery{Side: d.Side, Kind: d.Kind, To: d.To, Note: bridge.Note{Post: d.Post}}
	eachHolder(m.Origin, m.From, int(m.Size), x, body, func(h holder, blocks int) { s.change(h, sign, sign*blocks) })
}

// eachHolder tells who holds a delivery, and how many blocks with it: its message's sender, and, if it is a message, its
// receiver. body: the sender holds the body with this one.
func eachHolder(origin bridge.SideID, from string, size int, x bridge.Delivery, body bool, each func(h holder, blocks int)) {
	blocks := blocksOf(size)
	if x.Kind.IsMessage() {
		receiver, held := receiverOf(x.Side, x.Kind, x.To, x.Note.Post), blocks
		if receiver.side != x.Side {
			held = 0 // the body of copies that count for their room is counted with the room's own delivery, once
		}
		each(receiver, held)
	}
	if !body {
		blocks = 0
	}
	each(holder{false, origin, from}, blocks)
}

// receiverOf is the destination that a delivery counts for. A copy that was taken undecided waits for its room's word:
// it is the room that is slow, and the inbox must not be shut to others for it.
func receiverOf(side bridge.SideID, kind bridge.Kind, to string, post *bridge.Post) holder {
	if kind == bridge.KindCopy && post != nil {
		return holder{true, bridge.XMPP, post.Room}
	}
	return holder{true, side, to}
}

// blocksOf is about what a message takes in the file: body, row and keys.
func blocksOf(size int) int { return 1 + (size+blockSize-1)/blockSize }

// busyText is what the sender of a message hears that would go beyond a share.
const busyText = "too much from this sender or for this receiver is waiting already: send it again later"

// overShare tells whether a message would go beyond its sender's or its destinations' share. A copy to one
// destination that is over its share is taken as long as another one is not: else one member's inbox would shut
// the group.
func (d *decision) overShare(r *bridge.Record) bool {
	j := d.j
	s, most := &j.space, j.opt.MaxPending
	byBytes := s.used+s.grown+d.bytes > j.opt.MaxBytes/shareFrom
	byCount := most > 0 && j.waiting+d.waiting > most/shareFrom
	if !byBytes && !byCount {
		return false
	}
	over := func(h holder) bool {
		has, more := j.shares.of(h), d.shares[h]
		return byBytes && int64(has.blocks+more.blocks)*blockSize > j.opt.MaxBytes/shareMost ||
			byCount && int(has.deliveries+more.deliveries) > most/shareMost
	}
	if over(holder{false, r.Origin, r.From}) {
		return true
	}
	full := 0
	for _, x := range r.Deliveries {
		if over(receiverOf(x.Side, x.Kind, x.To, x.Note.Post)) {
			if full++; x.Kind == bridge.KindRoom {
				return true
			}
		}
	}
	return full == len(r.Deliveries)
}

// refuseBusy answers what would go beyond a share. XMPP is told to wait, as with a full journal. MQTT cannot keep
// one message and bring the next: it is refused, and its sender told. No key is kept of it.
func (d *decision) refuseBusy(r *bridge.Record) bridge.Outcome {
	r.Why = bridge.Refuse("busy", busyText)
	if r.Origin != bridge.MQTT {
		return bridge.OutcomeFull
	}
	d.count(refused, r.Origin, r.Why.Reason, 1)
	if r.From != "" && d.j.opt.Notices.Failed && d.j.mayNotify(r.Via, r.From) {
		d.takeAnswers(brief(r), []bridge.Delivery{picture.Notice(r.From, bridge.Note{Status: "failed", Text: busyText}, d.head.At)})
	}
	return d.countReceived(r, bridge.OutcomeRefused)
}

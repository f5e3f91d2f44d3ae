package journal

import (
	"cmp"
	"hash/fnv"
	"slices"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/message"
)

// decision is one frame in the making: what a batch of operations comes to, as facts. It looks at the picture, and at
// what was decided before in the same batch, which the picture does not show yet. It changes neither the picture nor
// anything else that could not be put back: if its frame is not written it is dropped. By the writer, under Journal.mu.
type decision struct {
	j     *Journal
	head  picture.Head
	facts []picture.Fact

	counts  map[bridge.Counter]int64
	lease   uint64
	bytes   int64  // about what it adds to the journal
	about   uint64 // Record.Number of the record that is being taken in
	waiting int    // deliveries it adds to those that wait
	keys    map[originKey]picture.First
	taken   map[uint64]*picture.Took
	lanes   map[laneKey]int // deliveries it adds to each
	shares  map[holder]holding
	closes  map[uint64]int // of deliveries of a message
	closed  map[*picture.Delivery]bool
	delayed map[uint64]bool
	raised  map[bridge.Ref]*picture.Delivery // dead letters that are requeued or dropped
	// Messages of dead letters that the picture did not have.
	recalled map[uint64]bool
	verdicts map[uint64]string // about messages that were closed before: why they have failed by now; empty: they are pending again

	written []byte // the frame

	// Taken out of their lanes. Those that are not closed with it go back.
	unlaned []*delivery
}

type originKey struct {
	origin bridge.SideID
	key    message.Key
}

// newDecision begins one. There is one at a time: what the last one has made room for is used again.
func (j *Journal) newDecision() *decision {
	d := &j.deciding
	*d = decision{
		j: j, written: d.written[:0], head: picture.Head{N: j.pic.Head.N + 1, At: j.nowMS(), Ran: j.ran()},
		counts: emptied(d.counts), keys: emptied(d.keys), taken: emptied(d.taken), lanes: emptied(d.lanes), shares: emptied(d.shares),
		closes: emptied(d.closes), closed: emptied(d.closed), delayed: emptied(d.delayed), raised: emptied(d.raised), recalled: emptied(d.recalled),
		verdicts: emptied(d.verdicts),
	}
	return d
}

// emptied is an empty map, which is the same one unless that has become large.
func emptied[K comparable, V any](m map[K]V) map[K]V {
	if m == nil || len(m) > 64 {
		return map[K]V{}
	}
	clear(m)
	return m
}

func (d *decision) add(f picture.Fact) { d.facts = append(d.facts, f) }

func (d *decision) count(name string, side bridge.SideID, reason string, n int64) {
	d.counts[bridge.Counter{Name: name, Side: side, Reason: reason}] += n
}

func (d *decision) setState(side bridge.SideID, rows []bridge.StateRow) {
	for _, r := range rows {
		value := r.Value
		if value != nil {
			value = append(make([]byte, 0, len(value)), value...) // the caller's array is its own again
		}
		d.add(&picture.StateSet{Side: side, Key: r.Key, Value: value})
		d.bytes += int64(len(r.Key) + len(r.Value))
	}
}

// frame is all that was decided: what each run begins with, the facts in order, the counters.
func (d *decision) frame() []picture.Fact {
	var facts []picture.Fact
	if rules := picture.RulesOf(d.j.opt.Notices); d.j.pic.Rules != rules {
		facts = append(facts, &rules)
	}
	if d.lease > 0 {
		facts = append(facts, &picture.Lease{Next: d.lease})
	}
	facts = append(facts, d.facts...)
	for _, c := range sortedCounters(d.counts) {
		facts = append(facts, &picture.Counted{Counter: c, N: d.counts[c]})
	}
	return facts
}

func sortedCounters(counts map[bridge.Counter]int64) []bridge.Counter {
	keys := make([]bridge.Counter, 0, len(counts))
	for c := range counts {
		keys = append(keys, c)
	}
	slices.SortFunc(keys, compareCounters)
	return keys
}

func compareCounters(a, b bridge.Counter) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Side, b.Side), cmp.Compare(a.Reason, b.Reason))
}

// find looks a key up.
func (d *decision) find(origin bridge.SideID, key message.Key) (picture.First, bool) {
	if first, ok := d.keys[originKey{origin, key}]; ok {
		return first, true
	}
	return d.j.pic.Keys.Find(origin, key)
}

// known looks a key up as the record's origin may see it.
func (d *decision) known(origin bridge.SideID, key message.Key) (first picture.First, echo, ok bool) {
	if first, ok = d.find(origin, key); ok {
		return first, false, true
	}
	if origin != bridge.MQTT {
		return picture.First{}, false, false // an MQTT sender is not proven: it must not silence an XMPP one
	}
	first, ok = d.find(bridge.XMPP, key)
	return first, ok, ok
}

// number gives a new message its number.
func (d *decision) number(id uint64) uint64 {
	if id == 0 || d.j.pic.Messages[id] != nil || d.taken[id] != nil {
		id = d.j.newNumber()
	}
	if id >= max(d.j.pic.Lease, d.lease) {
		d.lease = id + leaseStep
	}
	return id
}

// deliveries makes facts of a message's deliveries, and reckons with what they add.
func (d *decision) deliveries(origin bridge.SideID, from string, size int, list []bridge.Delivery) []bridge.Delivery {
	made := make([]bridge.Delivery, len(list))
	for i, x := range list {
		if x.Behind != "" && d.isOpen(laneKey{x.Side, x.Behind}) { // a lane goes with its last open delivery
			x.Lane = x.Behind
		}
		x.Behind = ""
		made[i] = x
		d.lanes[laneKey{x.Side, x.Lane}]++
		d.bytes += int64(len(x.To) + len(x.Lane) + rowBytes)
		eachHolder(origin, from, size, x, i == 0, func(h holder, blocks int) {
			has := d.shares[h]
			d.shares[h] = holding{has.deliveries + 1, has.blocks + uint32(blocks)}
		})
	}
	d.waiting += len(list)
	return made
}

// leaseStep: so many numbers are covered by one lease, and at most so many are skipped by a restart.
const leaseStep = 10_000

// rowBytes is about what a row takes beside its bytes.
const rowBytes = 60

// isOpen tells whether anything in a lane is open.
func (d *decision) isOpen(key laneKey) bool { return d.j.lanes[key] != nil || d.lanes[key] > 0 }

// inLane is how many deliveries of a lane are open.
func (d *decision) inLane(key laneKey) int {
	n := d.lanes[key]
	if l := d.j.lanes[key]; l != nil {
		n += l.refs
	}
	return n
}

// close reckons with the close of a delivery. cancelDelayed: if its message ends with it, a "delayed" that waits in its lane is to
// be taken back. A dispatcher may have it by then: so it is taken out of the lane now.
func (d *decision) close(p *picture.Delivery) (cancelDelayed bool) {
	if s := seatOf(p); s != nil && s.state == queued { // closed under a number that nobody was told yet
		d.unlane(s)
	}
	m := p.Message
	before := p.Finished() || d.closed[p]
	d.closed[p] = true
	if before || !p.Kind.IsMessage() {
		return false
	}
	if d.closes[m.ID]++; d.closes[m.ID] < int(m.Open) {
		return false
	}
	if d.delayed[m.ID] {
		return true
	}
	s := seatOf(m.DelayNotice())
	if s == nil || s.Finished() || s.state != queued {
		return false
	}
	d.unlane(s)
	return true
}

// bounce reckons with the bounce of a message whose outcome was told before.
func (d *decision) bounce(msg uint64, why *bridge.Refusal) {
	_, failed := d.j.pic.Keys.Failure(msg)
	if _, decided := d.verdicts[msg]; !failed && !decided {
		d.verdicts[msg] = cmp.Or(why.Text, why.Reason)
	}
}

func (d *decision) unlane(s *delivery) {
	s.lane.remove(s)
	s.state = settling
	d.unlaned = append(d.unlaned, s)
}

// over ends it: what was taken out of its lane and is not closed goes back, and no body is held on to.
func (d *decision) over() {
	for _, s := range d.unlaned {
		if !s.Finished() {
			d.j.queueDelivery(s)
		}
	}
	d.facts, d.unlaned = nil, nil
	clear(d.taken)
}

// viaHash tells inboxes apart well enough: a clash makes one retry answered that should be met by silence.
func viaHash(via string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(via)) // a hash never errs
	return h.Sum32()
}

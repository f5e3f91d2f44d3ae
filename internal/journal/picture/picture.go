package picture

import (
	"chatrelay/bridge"
	"chatrelay/internal/journal/fifo"
)

// Names of the sums that the promise is made of, and of others that Apply counts.
const (
	Delivered  = "delivered"
	Died       = "dead"
	Bounces    = "bounced"
	Evicted    = "evicted"     // keys forgotten early, for want of room
	AnswerDead = "answer_dead" // notices, receipts and errors that could not be delivered
)

// Picture is the state that the facts have made. It is changed by Apply and, at a start, by whoever loads the tables.
type Picture struct {
	Head     Head // of the last frame
	Rules    Rules
	Messages map[uint64]*Message // of which anything is open or may bounce. Mere dead letters are in the tables only
	Keys     Keys
	Counts   map[bridge.Counter]int64
	State    map[StateKey][]byte
	Finished fifo.Queue[Finished]               // delivered, waiting for the hour of bounces to end, oldest first
	Unproven [bridge.XMPP + 1]fifo.Queue[Proof] // settled and not confirmed, by side, oldest first
	Sums

	notes   notes
	changes *Changes   // of the frame that is being applied
	idle    []*Message // had no open delivery at some time in it
}

// Sums are plain numbers.
type Sums struct {
	Seq           uint64                 // of the last delivery
	Bindings      uint64                 // number of the last one
	Lease         uint64                 // message numbers below it may have been given out
	Pending       [bridge.XMPP + 1]int64 // messages taken and not closed, by origin
	Open          [bridge.XMPP + 1]int64 // message deliveries not closed, by destination
	Pinned        int64                  // keys of pending messages, which are never forgotten
	Dead          Tally                  // dead letters in the journal
	FinishedBytes int64                  // bytes of the bodies of those that wait for bounces
}

// Finished is a delivered message that waits for its bounce hour to end.
type Finished struct {
	Message *Message
	At      int64 // running ms
}

// StateKey names a row of a side's memory.
type StateKey struct {
	Side bridge.SideID
	Key  string
}

// New is the picture of a journal in which nothing ever was.
func New() *Picture {
	return &Picture{
		Messages: map[uint64]*Message{}, Keys: NewKeys(), Counts: map[bridge.Counter]int64{},
		State: map[StateKey][]byte{}, Sums: Sums{Lease: 1},
	}
}

// Apply makes the facts of a frame true. It cannot fail: a fact that fits nothing changes nothing.
func (p *Picture) Apply(h Head, facts []Fact) *Changes {
	p.changes = &Changes{Head: h}
	p.Head = h
	for _, f := range facts {
		f.apply(p)
	}
	p.settleIdle()
	c := p.changes
	p.changes = nil
	return c
}

func (f *Rules) apply(p *Picture) { p.Rules = *f }

func (f *Lease) apply(p *Picture) {
	p.Lease = max(p.Lease, f.Next)
	p.changes.Lease = p.Lease
}

func (f *Counted) apply(p *Picture) { p.count(f.Counter, f.N) }

func (p *Picture) count(c bridge.Counter, n int64) {
	if n == 0 {
		return
	}
	if p.Counts[c] += n; p.Counts[c] == 0 {
		delete(p.Counts, c)
	}
	p.changes.Counts = append(p.changes.Counts, c)
}

func (f *StateSet) apply(p *Picture) {
	key := StateKey{f.Side, f.Key}
	if f.Value == nil {
		delete(p.State, key)
	} else {
		p.State[key] = f.Value
	}
	p.changes.State = append(p.changes.State, key)
}

// change notes that a message changes.
func (p *Picture) change(m *Message) *Status {
	if m.frame != p.Head.N {
		before := m.Status
		p.changes.Messages = append(p.changes.Messages, ChangedMessage{m, before})
		m.frame = p.Head.N
	}
	return &m.Status
}

// changeDelivery notes that a delivery changes.
func (p *Picture) changeDelivery(d *Delivery) *DeliveryStatus {
	if d.frame != p.Head.N {
		before := d.DeliveryStatus
		p.changes.Deliveries = append(p.changes.Deliveries, ChangedDelivery{d, before})
		d.frame = p.Head.N
	}
	return &d.DeliveryStatus
}

// Find finds a delivery that is known.
func (p *Picture) Find(ref bridge.Ref) *Delivery {
	if m := p.Messages[ref.Msg]; m != nil {
		return m.Delivery(ref.Delivery)
	}
	return nil
}

// Unfinished finds a delivery that may still change.
func (p *Picture) Unfinished(ref bridge.Ref) *Delivery {
	if d := p.Find(ref); d != nil && !d.Finished() {
		return d
	}
	return nil
}

// markIdle notes that a message has no open delivery; settleIdle decides what that means once all facts are applied.
func (p *Picture) markIdle(m *Message) {
	if !m.HasOpen() {
		p.idle = append(p.idle, m)
	}
}

// settleIdle lets go of messages to which nothing can happen any more, and of those that are dead letters only.
func (p *Picture) settleIdle() {
	for _, m := range p.idle {
		if m.HasOpen() {
			continue // an answer was added since
		}
		if m.Dead == 0 && (m.Copies == 0 || m.Over) {
			p.delete(m)
		}
		p.release(m)
	}
	clear(p.idle)
	p.idle = p.idle[:0]
}

// delete says that an idle message's row goes.
func (p *Picture) delete(m *Message) {
	p.change(m).Over = true
	p.changes.Deleted = append(p.changes.Deleted, m.ID)
}

// release takes an idle message out of memory, unless it may bounce.
func (p *Picture) release(m *Message) {
	p.changes.Idle = append(p.changes.Idle, m)
	if p.Messages[m.ID] == m && (m.Dead > 0 || m.Copies == 0 || m.Over) {
		delete(p.Messages, m.ID)
	}
}

func (f *Forgot) apply(p *Picture) {
	gone := make(map[uint64]bool, len(f.Messages))
	for _, id := range f.Messages {
		gone[id] = true
	}
	for p.Finished.Len() > 0 && gone[p.Finished.At(0).Message.ID] { // all of them, but in a replay on what a start has found
		p.forget(p.Finished.At(0).Message)
		delete(gone, p.Finished.At(0).Message.ID)
		p.Finished.Drop(1)
	}
	if len(gone) == 0 {
		return
	}
	p.Finished.Retain(func(x Finished) bool {
		if gone[x.Message.ID] {
			p.forget(x.Message)
		}
		return !gone[x.Message.ID]
	})
}

// forget says that the time for bounces of a delivered message is over.
func (p *Picture) forget(m *Message) {
	p.FinishedBytes -= m.BodySize()
	p.change(m).Over = true
	if !m.HasOpen() {
		p.delete(m)
		p.release(m)
	}
}

func (p *Picture) newDelivery(m *Message, num uint16, d bridge.Delivery) {
	p.Seq++
	made := &Delivery{Message: m, Seq: p.Seq, To: d.To, Lane: d.Lane, Post: d.Note.Post, Num: num, Kind: d.Kind, Side: d.Side}
	made.Note = p.notes.share(d.Note)
	m.Deliveries = append(m.Deliveries, made)
	p.changes.Inserted = append(p.changes.Inserted, made)
}

package picture

import "chatrelay/bridge"

// Tally is how many there are, and about how many bytes they take in the file.
type Tally struct{ N, Bytes int64 }

// About what dead letters take in the file.
const (
	DeadMessage = 256 // beside its body
	DeadRow     = 72  // each dead delivery beside its texts, with its place in the index
)

// add counts a delivery that has become a dead letter. The body counts once, whatever the number of deliveries that
// need it.
func (y *Tally) add(m *Message, d *Delivery) {
	y.N++
	y.Bytes += d.deadBytes()
	if m.Dead == 1 {
		y.Bytes += DeadMessage + m.BodySize()
	}
}

// remove takes one off again; the message counts it no more.
func (y *Tally) remove(m *Message, d *Delivery) {
	y.N--
	y.Bytes -= d.deadBytes()
	if m.Dead == 0 {
		y.Bytes -= DeadMessage + m.BodySize()
	}
}

// DeadBytes is about what goes from the file with a dead delivery; last: it is the last one of its message.
func (d *Delivery) DeadBytes(last bool) int64 {
	n := d.deadBytes()
	if last {
		n += DeadMessage + d.Message.BodySize()
	}
	return n
}

// deadBytes is about what a dead delivery takes in the file. A message to a large group has thousands of them, each with the
// reason.
func (d *Delivery) deadBytes() int64 {
	return int64(DeadRow + len(d.To) + len(d.Lane) + len(d.Note.Reason) + len(NoteText(d.Note)))
}

func (f *Recalled) apply(p *Picture) {
	if p.Messages[f.ID] != nil {
		return
	}
	m := f.Message()
	p.Messages[m.ID] = m
	p.idle = append(p.idle, m) // if nothing is done with it, it leaves memory again
}

// Message is the message that was read back.
func (f *Recalled) Message() *Message {
	m := &Message{
		ID: f.ID, At: f.At, Ran: f.Ran, Expires: f.Expires, From: f.From, Reply: f.Reply, Size: f.Size, Origin: f.Origin,
		Copies: f.Copies, Keys: f.Keys, Receipt: f.Receipt, Saved: true,
		Status: Status{Base: f.Base, Dropped: f.Dropped, Delayed: f.Delayed, Reason: f.Reason, Dead: uint16(len(f.Dead))},
	}
	m.Deliveries = make([]*Delivery, m.Copies)
	for _, x := range f.Dead {
		if x.Num >= m.Copies {
			continue // an answer is never dead
		}
		note := x.Note
		d := &Delivery{Message: m, Seq: x.Seq, To: x.To, Lane: x.Lane, Post: note.Post, Num: x.Num, Kind: x.Kind, Side: x.Side, Saved: true}
		d.DeliveryStatus = DeliveryStatus{Note: &note, Dead: true}
		if x.Attempts > 0 {
			d.Put = &PutOff{Ref: d.Ref(), Attempts: x.Attempts}
		}
		m.Deliveries[x.Num] = d
	}
	return m
}

func (f *Requeued) apply(p *Picture) {
	d := p.Find(f.Ref)
	if d == nil || !d.Dead {
		return
	}
	m := d.Message
	s := p.change(m)
	if s.Open == 0 {
		p.count(bridge.Counter{Name: Died, Side: m.Origin, Reason: s.Reason}, -1)
		p.Pending[m.Origin]++
		p.Pinned += int64(m.Keys)
		s.Base += answerSlots // new answers, new numbers
		s.Reason, s.Bounced = "", false
		p.unmarkFailed(m.ID)
		p.learn(m.Origin, f.Keys, First{m.ID, 0})
		p.changes.Resumed = append(p.changes.Resumed, m)
	}
	s.Open++
	s.Dead--
	p.Open[d.Side]++
	p.Dead.remove(m, d)
	l := p.changeDelivery(d)
	l.Dead, l.Put, l.Note = false, nil, nil
	if d.Post != nil {
		l.Note = &bridge.Note{Post: d.Post}
	}
	p.changes.Reopened = append(p.changes.Reopened, d)
}

func (f *Dropped) apply(p *Picture) {
	d := p.Find(f.Ref)
	if d == nil || !d.Dead {
		return
	}
	m := d.Message
	s, l := p.change(m), p.changeDelivery(d)
	l.Dead, l.Gone = false, true
	s.Dead--
	s.Dropped++
	p.Dead.remove(m, d)
	if s.Open == 0 && s.Dead == 0 {
		s.Over = true // nothing of it is left
		p.markIdle(m)
	}
}

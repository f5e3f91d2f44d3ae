package picture

import (
	"cmp"
	"slices"

	"chatrelay/bridge"
	"chatrelay/message"
)

func (f *Took) apply(p *Picture) {
	if p.Messages[f.ID] != nil {
		return
	}
	m := &Message{
		ID: f.ID, At: p.Head.At, Ran: p.Head.Ran, From: f.From, Origin: f.Origin, Size: uint32(len(f.Body)),
		Reply: f.Reply, Receipt: f.Receipt, Expires: f.Expires, Copies: uint16(len(f.Deliveries)), Keys: uint16(len(f.Keys)),
	}
	m.Base, m.Open = m.Copies, m.Copies
	p.learn(f.Origin, f.Keys, First{f.ID, f.Via})
	p.Pinned += int64(m.Keys)
	p.Pending[f.Origin]++
	p.insert(m, f.Body, f.BodyAt, f.Keys)
	for i, d := range f.Deliveries {
		p.newDelivery(m, uint16(i), d)
		p.Open[d.Side]++
	}
}

func (f *Answered) apply(p *Picture) {
	if p.Messages[f.ID] != nil {
		return
	}
	m := &Message{ID: f.ID, At: p.Head.At, Ran: p.Head.Ran, From: f.From, Origin: f.Origin, Size: uint32(len(f.Body))}
	m.Answers = uint16(len(f.Deliveries))
	m.Delayed = true // there is nothing to be delayed
	p.insert(m, f.Body, f.BodyAt, nil)
	for i, d := range f.Deliveries {
		p.newDelivery(m, uint16(i), d)
	}
	p.markIdle(m)
}

func (p *Picture) insert(m *Message, body []byte, at int, keys []message.Key) {
	m.Deliveries = make([]*Delivery, 0, m.Copies+m.Answers)
	m.Place = Place{p.Head.N, uint32(at), uint32(len(body))}
	p.Messages[m.ID] = m
	p.changes.Taken = append(p.changes.Taken, Taken{m, body, keys})
}

// Learned: what became of a message must be known for as long as its youngest key.
func (f *Learned) apply(p *Picture) {
	p.learn(f.Origin, f.Keys, First{f.Msg, f.Via})
	if why, failed := p.Keys.Failure(f.Msg); failed {
		p.markFailed(f.Msg, why)
	}
}

func (f *Delayed) apply(p *Picture) {
	m := p.Messages[f.Msg]
	if m == nil || !m.Pending() || m.Delayed {
		return
	}
	p.change(m).Delayed = true
	if m.From != "" {
		p.addAnswer(m, answerDelayed, Notice(m.From, bridge.Note{Status: "delayed"}, p.Head.At))
	}
}

func (f *PutOff) apply(p *Picture) {
	if d := p.Unfinished(f.Ref); d != nil {
		p.changeDelivery(d).Put = f
		p.changes.PutOff = append(p.changes.PutOff, d)
	}
}

func (f *Bound) apply(p *Picture) {
	d := p.Unfinished(f.Ref)
	if d == nil {
		return
	}
	l := p.changeDelivery(d)
	if l.Order == 0 {
		p.Bindings++
		l.Order = p.Bindings
	}
	l.Binding = f.Binding
	p.changes.Bound = append(p.changes.Bound, d)
}

func (f *Unbound) apply(p *Picture) {
	if d := p.Unfinished(f.Ref); d != nil {
		p.unbind(d)
	}
}

func (p *Picture) unbind(d *Delivery) {
	l := p.changeDelivery(d)
	l.Order, l.Binding = 0, nil
}

// Bound are the deliveries that are bound on a side, in order of binding.
func (p *Picture) Bound(side bridge.SideID) (bound []*Delivery) {
	for _, m := range p.Messages {
		for _, d := range m.Deliveries {
			if d != nil && d.Side == side && d.Order > 0 {
				bound = append(bound, d)
			}
		}
	}
	slices.SortFunc(bound, func(a, b *Delivery) int { return cmp.Compare(a.Order, b.Order) })
	return bound
}

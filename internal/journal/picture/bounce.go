package picture

import "chatrelay/bridge"

func (f *Bounced) apply(p *Picture) {
	m := p.Messages[f.Ref.Msg]
	if m == nil {
		p.bounce(f.Ref.Msg, nil, f.Why)
		return
	}
	d := m.Delivery(f.Ref.Delivery)
	switch {
	case d != nil && !d.Gone:
		p.close(d, f.Why, f.CancelDelayed) // not settled yet: a dead letter, not a bounce
	case f.Ref.Delivery >= m.Copies: // that an answer did not arrive says nothing about the message
		p.count(bridge.Counter{Name: AnswerDead, Side: m.Origin, Reason: f.Why.Reason}, 1)
	default:
		p.bounce(m.ID, m, f.Why)
	}
}

// bounce notes that a settled delivery of a message did not arrive, and tells its sender, once. m is nil when its hour is
// over or it is a dead letter: the key is still good for a retry's answer.
func (p *Picture) bounce(id uint64, m *Message, why *bridge.Refusal) {
	text := why.Text
	if text == "" {
		text = why.Reason
	}
	if m == nil {
		p.count(bridge.Counter{Name: Bounces, Reason: why.Reason}, 1)
		if _, known := p.Keys.Failure(id); !known {
			p.markFailed(id, text)
		}
		return
	}
	p.count(bridge.Counter{Name: Bounces, Side: m.Origin, Reason: why.Reason}, 1)
	if m.Bounced || m.Dead > 0 && !m.Pending() {
		return // its sender knows
	}
	p.change(m).Bounced = true
	p.markFailed(m.ID, text)
	p.tellFailed(m, answerBounce, why.Reason, text)
}

// proofs takes off the list what stands on it up to a number.
func (p *Picture) proofs(side bridge.SideID, upTo uint64, each func(ref bridge.Ref, m *Message)) {
	list := &p.Unproven[side]
	for list.Len() > 0 && list.At(0).N <= upTo {
		x := list.At(0)
		list.Drop(1)
		p.changes.Unproven[side].Gone = append(p.changes.Unproven[side].Gone, x)
		m := p.Messages[x.Ref.Msg]
		if m != nil && m.Unproven > 0 {
			p.change(m).Unproven--
		}
		each(x.Ref, m)
	}
}

func (f *Confirmed) apply(p *Picture) {
	p.proofs(f.Side, f.UpTo, func(ref bridge.Ref, _ *Message) { p.changes.Proven = append(p.changes.Proven, ref) })
}

func (f *Unconfirmed) apply(p *Picture) {
	bounced := Unproved{Why: f.Why}
	p.proofs(f.Side, f.UpTo, func(ref bridge.Ref, m *Message) {
		if m != nil && m.BodySize() <= int64(f.Longer) {
			p.changes.Proven = append(p.changes.Proven, ref)
			return
		}
		bounced.Refs = append(bounced.Refs, ref)
		p.count(bridge.Counter{Name: bridge.Unconfirmed, Side: f.Side}, 1)
		p.bounce(ref.Msg, m, f.Why)
	})
	p.changes.Unproved = append(p.changes.Unproved, bounced)
}

package picture

import (
	"fmt"
	"strings"

	"chatrelay/bridge"
)

func (f *Closed) apply(p *Picture) {
	d := p.Find(f.Ref)
	if d == nil {
		return // closed before
	}
	if f.Unproven > 0 && f.Why == nil {
		p.addProof(d, f.Unproven)
	}
	if m := d.Message; f.Body != nil && f.Why != nil && m.Copies == 1 && d.Kind.IsMessage() && !d.Finished() {
		p.change(m).Cut = uint32(max(1, len(f.Body))) // its size stays what waiting was reckoned by
		m.Place = Place{p.Head.N, uint32(f.BodyAt), uint32(len(f.Body))}
		p.changes.Cut = append(p.changes.Cut, Body{m, f.Body})
	}
	p.close(d, f.Why, f.CancelDelayed)
}

// close settles a delivery, or buries it; the last message delivery closes its message.
func (p *Picture) close(d *Delivery, why *bridge.Refusal, cancelDelayed bool) {
	if d.Finished() {
		return
	}
	p.unbind(d)
	l, m := &d.DeliveryStatus, d.Message
	s := p.change(m)
	if !d.Kind.IsMessage() {
		s.Answers--
		p.endAnswer(d)
		if why != nil {
			p.count(bridge.Counter{Name: AnswerDead, Side: m.Origin, Reason: why.Reason}, 1)
		}
		p.markIdle(m)
		return
	}
	s.Open--
	p.Open[d.Side]--
	if why == nil {
		l.Gone = true
	} else {
		l.Dead = true
		s.Dead++
		l.Note = &bridge.Note{Reason: why.Reason, Text: why.Text, At: p.Head.At, Post: d.Post}
		p.Dead.add(m, d)
	}
	if s.Open == 0 {
		p.finish(m, cancelDelayed)
	}
	p.markIdle(m)
}

// endAnswer closes an answer: its message forgets it.
func (p *Picture) endAnswer(d *Delivery) {
	p.changeDelivery(d).Gone = true
	m := d.Message
	m.forget(d)
}

// finish counts a message whose last message delivery is closed, and tells its sender.
func (p *Picture) finish(m *Message, cancelDelayed bool) {
	p.Pending[m.Origin]--
	p.Pinned -= int64(m.Keys)
	if cancelDelayed {
		p.cancelDelayed(m)
	}
	if m.Dead+m.Dropped > 0 {
		p.finishDead(m)
		return
	}
	p.count(bridge.Counter{Name: Delivered, Side: m.Origin}, 1)
	p.Finished.Push(Finished{m, p.Head.Ran})
	p.FinishedBytes += m.BodySize()
	if !m.Bounced { // else its sender was told that it failed
		p.tellSent(m)
	}
}

func (p *Picture) finishDead(m *Message) {
	label, text := verdict(m)
	s := p.change(m)
	s.Reason = label
	s.Over = s.Dead == 0 // all that failed was dropped: there is nothing to requeue
	p.count(bridge.Counter{Name: Died, Side: m.Origin, Reason: label}, 1)
	p.markFailed(m.ID, text)
	if !m.Bounced {
		p.tellFailed(m, answerOutcome, label, text)
	}
}

// cancelDelayed takes back a "delayed" that nobody was handed yet: the outcome is known.
func (p *Picture) cancelDelayed(m *Message) {
	if d := m.DelayNotice(); d != nil && !d.Finished() && d.Order == 0 {
		p.change(m).Answers--
		p.endAnswer(d)
	}
}

const namedAtMost = 10

// verdict is the label and the sentence for a dead message: for a group how many and who.
func verdict(m *Message) (label, text string) {
	label, text = "dropped", "given up by the relay's keeper"
	failed := int(m.Dead) + int(m.Dropped)
	var names []string
	for _, d := range m.Deliveries[:m.Copies] {
		if d == nil || !d.Dead {
			continue
		}
		if len(names) == 0 {
			label = d.Note.Reason
			if text = d.Note.Text; text == "" {
				text = label
			}
		}
		if len(names) < namedAtMost {
			names = append(names, d.To)
		}
	}
	if m.Copies == 1 {
		return label, text
	}
	who := strings.Join(names, ", ")
	if more := failed - len(names); more > 0 {
		who = strings.TrimSpace(fmt.Sprintf("%s and %d more", who, more))
	}
	return label, fmt.Sprintf("%d of %d not delivered: %s (%s)", failed, m.Copies, who, text)
}

// Proof is a delivery that was settled on a word that proves little (MQTT 3.1.1 acknowledges what the broker drops). Its
// message stays in the journal until the side confirms it, or it is bounced.
type Proof struct {
	N   uint64 // running number; grows
	Ref bridge.Ref
}

// ProofChanges is what a frame did to a side's list.
type ProofChanges struct{ Added, Gone []Proof }

// addProof puts a delivery that is being settled on the list.
func (p *Picture) addProof(d *Delivery, n uint64) {
	if d.Finished() || !d.Kind.IsMessage() {
		return
	}
	list, x := &p.Unproven[d.Side], Proof{n, d.Ref()}
	list.Push(x)
	p.changes.Unproven[d.Side].Added = append(p.changes.Unproven[d.Side].Added, x)
	p.change(d.Message).Unproven++
}

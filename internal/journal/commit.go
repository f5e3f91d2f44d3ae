package journal

import (
	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
)

// plan decides about a batch.
func (j *Journal) plan(batch []op) *decision {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.newDecision()
	for _, o := range batch {
		o.decide(d)
	}
	d.forget(false)
	return d
}

// write has what was decided written. An error: nothing of it is true.
func (j *Journal) write(d *decision) error {
	facts := d.frame()
	if len(facts) == 0 {
		return nil
	}
	d.written = picture.Encode(d.written[:0], d.head, facts)
	if err := j.frames.Append(d.head.N, d.written); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		d.over()
		return err
	}
	d.facts = facts
	return nil
}

// apply makes true what was appended. answer is called under the lock once it is. An error ends the process.
func (j *Journal) apply(d *decision, answer func()) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	bytes := 0
	if len(d.facts) > 0 {
		c := j.pic.Apply(d.head, d.facts)
		j.committed(c)
		bytes = len(d.written)
		j.unsaved.add(c, bytes, sqlite.Sum(j.tables.ID(), d.head.N, d.written))
	}
	d.over()
	answer()
	return j.accountSpace(bytes)
}

// commitAlone commits what nobody waits for.
func (j *Journal) commitAlone(d *decision) error {
	if err := j.write(d); err != nil {
		return err
	}
	return j.apply(d, func() {})
}

// committed gives what is new its place, and takes what is over out of it. Under Journal.mu.
func (j *Journal) committed(c *picture.Changes) {
	for _, x := range c.Taken {
		j.cache(x.Message, x.Body)
		if x.Copies > 0 {
			j.undelayed.Push(x.Message)
			j.byAge.Push(x.Message)
		}
	}
	for _, x := range c.Cut {
		j.uncache(x.Message)
	}
	for _, p := range c.Inserted {
		if !p.Finished() {
			j.queueDelivery(j.place(p))
		}
	}
	for _, x := range c.Taken {
		shareSender(x.Message)
	}
	for _, x := range c.Deliveries {
		j.settled(x.Delivery)
	}
	for _, p := range c.Reopened {
		if s := seatOf(p); !p.Finished() && (s == nil || !s.waiting) { // else closed in the same breath, or requeued twice
			s = j.place(p)
			s.attempts, s.waited = 0, 0
			j.queueDelivery(s)
		}
	}
	for _, m := range c.Resumed { // pending again: back into the lists by age
		older := func(x *picture.Message) bool { return x.Ran <= m.Ran }
		j.byAge.Insert(m, older)
		if !m.Delayed {
			j.undelayed.Insert(m, older)
		}
	}
	for _, m := range c.Idle {
		j.uncache(m)
	}
	j.logLines.chose(&j.opt, ChoseProven, nil, c.Proven...)
	for _, x := range c.Unproved {
		j.logLines.chose(&j.opt, ChoseUnproved, x.Why, x.Refs...)
	}
	j.trim()
}

// settled takes a delivery that is finished out of its place.
func (j *Journal) settled(p *picture.Delivery) {
	s := seatOf(p)
	if s == nil || !p.Finished() {
		return
	}
	s.state = settling
	if s.waiting {
		j.removeWaiting(s)
	}
	if p.Gone {
		p.Seat = nil
	}
}

// trim keeps the lists by age from holding on to closed messages behind one that is stuck.
func (j *Journal) trim() {
	for j.byAge.Len() > 0 && !j.byAge.At(0).Pending() {
		j.byAge.Drop(1)
	}
	bound := 2*int(j.pic.Pending[bridge.MQTT]+j.pic.Pending[bridge.XMPP]) + 4096
	if j.undelayed.Len() > bound {
		j.undelayed.Retain((*picture.Message).Pending)
	}
	if j.byAge.Len() > bound {
		j.byAge.Retain((*picture.Message).Pending)
	}
}

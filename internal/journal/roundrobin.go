package journal

import "chatrelay/internal/journal/fifo"

// roundRobin says which lane goes next: senders take turns, and within one sender its destinations. So one message to
// ten thousand inboxes holds up nobody else's: between two of its copies each other sender has had a turn. What
// the relay itself tells somebody (notices, receipts, errors) is a sender of its own for each of its lanes, so
// that a flood of answers to one waits for itself only. Guarded by Journal.mu.
type roundRobin struct {
	senders fifo.Queue[*senderLanes] // with a ready lane, next one first
	of      map[string]*senderLanes
}

// senderLanes are a sender's ready lanes, and its place in the order.
type senderLanes struct {
	sender string
	lanes  fifo.Queue[*lane] // ready, next one first
}

// push shows a lane that has something to hand out.
func (s *roundRobin) push(n *lane) {
	n.ready = true
	sender := n.sender()
	t := s.of[sender]
	if t == nil {
		if s.of == nil {
			s.of = map[string]*senderLanes{}
		}
		t = &senderLanes{sender: sender}
		s.of[sender] = t
		s.senders.Push(t)
	}
	t.lanes.Push(n)
}

// pop takes the lane whose turn it is; nil: there is none.
func (s *roundRobin) pop() *lane {
	if s.senders.Len() == 0 {
		return nil
	}
	t := s.senders.At(0)
	s.senders.Drop(1)
	n := t.lanes.At(0)
	t.lanes.Drop(1)
	if t.lanes.Len() > 0 {
		s.senders.Push(t)
	} else {
		delete(s.of, t.sender)
	}
	n.ready = false
	return n
}

// sender is for whom a lane takes its turn. The lane must not be empty. Names of lanes of answers hold a NUL,
// those of senders do not.
func (n *lane) sender() string {
	if d := n.deliveries.At(0); d.Kind.IsMessage() {
		return d.Message.From
	}
	return n.name
}

package journal

import (
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// deliveryState is where a delivery is, as dispatchers and sides see it. Guarded by Journal.mu.
type deliveryState uint8

const (
	queued    deliveryState = iota // in its lane
	handedOut                      // with a dispatcher, not bound
	inflight                       // bound, or its bind is in the queue
	settling                       // its settle is in the queue, or it is settled or dead
)

// delivery is a delivery of the picture with what is not kept: its place in a lane, and who has it in hand.
type delivery struct {
	*picture.Delivery
	lane    *lane
	state   deliveryState
	waiting bool // is counted with what waits

	attempts   uint32
	waited     int64  // ms, for which it was deferred in all
	epoch      uint32 // how often a wire gave it back; a bind of an earlier epoch says nothing any more
	boundEpoch uint32 // of the binding that is committed
}

// seatOf finds the place of a delivery; nil: it has none, for its commit is still on its way, or it is gone.
func seatOf(p *picture.Delivery) *delivery {
	if p == nil {
		return nil
	}
	d, _ := p.Seat.(*delivery)
	return d
}

// place gives a delivery its place.
func (j *Journal) place(p *picture.Delivery) *delivery {
	n := j.lane(p.Side, p.Lane)
	d := seatOf(p)
	if d == nil {
		d = &delivery{Delivery: p}
		p.Seat = d
		p.Lane, p.To = n.name, n.part(p.To) // what waits does not keep its names twice. A dispatcher may still read those of one that had a place
	}
	d.lane = n
	j.addWaiting(d)
	return d
}

// shareSender lets a message that nobody has in hand yet keep its sender's name with its lane's.
func shareSender(m *picture.Message) {
	if len(m.Deliveries) == 0 {
		return
	}
	if d := seatOf(m.Deliveries[0]); d != nil {
		m.From = d.lane.part(m.From)
	}
}

// left is Outbound.Left.
func left(m *picture.Message, running int64) time.Duration {
	if m.Expires == 0 {
		return 0
	}
	if left := m.Expires - running; left > 0 {
		return time.Duration(left) * time.Millisecond
	}
	return -1
}

// deliveryOf finds a delivery that may still change.
func (j *Journal) deliveryOf(ref bridge.Ref) *delivery { return seatOf(j.pic.Unfinished(ref)) }

package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
)

// Bind implements bridge.SideJournal. A delivery that is closed already keeps nothing, but has its ticket.
func (j *Journal) Bind(ref bridge.Ref, binding []byte) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.deliveryOf(ref)
	if d != nil {
		switch d.state {
		case queued:
			d.lane.remove(d)
			d.state = inflight
		case handedOut:
			d.state = inflight
		}
	}
	j.ticket++
	o := &bindOp{l: d, data: append([]byte{}, binding...), ticket: j.ticket}
	if d != nil {
		o.epoch = d.epoch
	}
	j.put(o)
	return j.ticket
}

type bindOp struct {
	l      *delivery // nil: unknown
	epoch  uint32
	data   []byte
	ticket uint64
	said   bool // a fact was made of it
	void   bool // it would overtake one of its lane: it counts as not committed
}

// errOvertakes: the bind of one before it in its lane has failed, and that one is not bound again.
var errOvertakes = errors.New("one before it in its lane is not bound")

func (o *bindOp) size() (int, int) { return 1, len(o.data) }
func (o *bindOp) number() uint64   { return o.ticket }
func (o *bindOp) end(j *Journal, err error) bool {
	err = o.outcome(err)
	if o.l == nil || o.l.Finished() {
		return false
	}
	if err == nil && o.said {
		o.l.boundEpoch = o.epoch
	}
	if err == nil || o.l.epoch != o.epoch {
		return false
	}
	if o.l.Order > 0 && o.l.boundEpoch == o.epoch {
		return true // the wire has gone on; the journal must follow (a released packet is never published again)
	}
	if o.l.state == inflight {
		j.giveBack(o.l)
		j.ready[o.l.lane.side].bindFailed(o.l)
	}
	return false
}

// outcome is what the commit that took it along means for its ticket.
func (o *bindOp) outcome(err error) error {
	if o.void && err == nil {
		return errOvertakes
	}
	return err
}

// giveBack puts a delivery that a wire held back into its lane. What was said of it before counts no more: a bind
// that is still in the queue must neither bind it again nor, failing, take it from who holds it by then.
func (j *Journal) giveBack(d *delivery) {
	d.epoch++
	j.queueDelivery(d)
}

func (o *bindOp) decide(d *decision) {
	o.said = o.l != nil && !o.l.Finished() && !d.closed[o.l.Delivery] && o.l.epoch == o.epoch && (o.l.state == inflight || o.l.state == settling)
	o.void = o.said && d.j.ready[o.l.lane.side].overtakes(o.l, d.closed)
	if o.said = o.said && !o.void; o.said { // else it is closed, or undone by an earlier operation of the wire
		d.add(&picture.Bound{Ref: o.l.Ref(), Binding: o.data})
	}
}

// Unbind implements bridge.SideJournal: the deliveries are with Next at once, for what hands them out again is queued
// behind this.
func (j *Journal) Unbind(refs ...bridge.Ref) {
	j.mu.Lock()
	defer j.mu.Unlock()
	o := &unbindOp{}
	for _, ref := range refs {
		if d := j.deliveryOf(ref); d != nil && d.state == inflight {
			o.deliveries = append(o.deliveries, d)
			j.giveBack(d)
		}
	}
	if len(o.deliveries) > 0 {
		j.put(o)
	}
}

type unbindOp struct{ deliveries []*delivery }

func (o *unbindOp) size() (int, int) { return len(o.deliveries), 0 }

func (o *unbindOp) end(_ *Journal, err error) bool { return err != nil }

func (o *unbindOp) decide(d *decision) {
	for _, x := range o.deliveries {
		if !x.Finished() {
			d.add(&picture.Unbound{Ref: x.Ref()})
		}
	}
}

// Settle implements bridge.SideJournal and bridge.Queue. Closing a delivery that the far side has not got yet, because it
// waits, is allowed: nothing hands it out any more.
func (j *Journal) Settle(results ...bridge.Result) {
	if len(results) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range results {
		d := j.deliveryOf(r.Ref)
		if d == nil {
			continue
		}
		if d.state == queued {
			d.lane.remove(d)
		}
		d.state = settling
	}
	j.put(&settleOp{results: append([]bridge.Result(nil), results...), unprovenBefore: j.numberUnproven(results)})
}

// Bounce implements bridge.SideJournal. A delivery that is not settled yet becomes a dead letter.
func (j *Journal) Bounce(ref bridge.Ref, why *bridge.Refusal) {
	if why == nil {
		why = bridge.Refuse("bounced", "the far side gave it back")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if d := j.deliveryOf(ref); d != nil {
		if d.state == queued {
			d.lane.remove(d)
		}
		d.state = settling
	}
	j.put(&bounceOp{ref, why})
}

// SetState implements bridge.SideJournal.
func (j *Journal) SetState(side bridge.SideID, rows ...bridge.StateRow) uint64 {
	copied := make([]bridge.StateRow, len(rows))
	for i, r := range rows {
		copied[i] = r
		if r.Value != nil {
			copied[i].Value = append([]byte{}, r.Value...)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ticket++
	j.put(&stateOp{side, copied, j.ticket})
	return j.ticket
}

type stateOp struct {
	side   bridge.SideID
	rows   []bridge.StateRow
	ticket uint64
}

func (o *stateOp) size() (int, int)               { return len(o.rows), 0 }
func (o *stateOp) number() uint64                 { return o.ticket }
func (o *stateOp) decide(d *decision)             { d.setState(o.side, o.rows) }
func (o *stateOp) end(_ *Journal, err error) bool { return err != nil }

// Count implements bridge.SideJournal.
func (j *Journal) Count(side bridge.SideID, name string, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.put(&countOp{bridge.Counter{Name: name, Side: side}, int64(n)})
}

type countOp struct {
	name bridge.Counter
	n    int64
}

func (o *countOp) size() (int, int)               { return 1, 0 }
func (o *countOp) decide(d *decision)             { d.counts[o.name] += o.n }
func (o *countOp) end(_ *Journal, err error) bool { return err != nil }

// State implements bridge.SideJournal.
func (j *Journal) State(ctx context.Context, side bridge.SideID) (map[string][]byte, error) {
	if err := j.barrier(ctx); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	state := map[string][]byte{}
	for k, value := range j.pic.State {
		if k.Side == side {
			state[k.Key] = bytes.Clone(value)
		}
	}
	return state, nil
}

// Bound implements bridge.SideJournal.
func (j *Journal) Bound(ctx context.Context, side bridge.SideID) ([]bridge.BoundDelivery, error) {
	if err := j.barrier(ctx); err != nil {
		return nil, err
	}
	var deliveries []bridge.BoundDelivery
	j.mu.Lock()
	for _, d := range j.pic.Bound(side) {
		deliveries = append(deliveries, bridge.BoundDelivery{Outbound: bridge.Outbound{Ref: d.Ref()}, Binding: bytes.Clone(d.Binding)})
	}
	j.mu.Unlock()
	return j.withBodies(ctx, deliveries)
}

// withBodies adds to bound deliveries what travels.
func (j *Journal) withBodies(ctx context.Context, deliveries []bridge.BoundDelivery) ([]bridge.BoundDelivery, error) {
	kept := deliveries[:0]
	for _, b := range deliveries {
		j.mu.Lock()
		d := j.deliveryOf(b.Ref)
		j.mu.Unlock()
		if d == nil {
			continue
		}
		o, err := j.outbound(ctx, d)
		if err != nil && ctx.Err() == nil && sqlite.Permanent(err) {
			j.buryUnreadable(d, err) // one bad page must not keep the side from starting
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("journal: bound: %w", err)
		}
		b.Outbound = o
		kept = append(kept, b)
	}
	return kept, nil
}

// Delayed implements bridge.Queue.
func (j *Journal) Delayed(ctx context.Context, atLeast time.Duration) error {
	j.mu.Lock()
	o := &delayOp{messages: j.overdue(j.running() - atLeast.Milliseconds()), done: make(chan error, 1)}
	if len(o.messages) == 0 || !j.opt.Notices.Delayed {
		j.mu.Unlock()
		return nil
	}
	if j.broken != nil {
		defer j.mu.Unlock()
		return fmt.Errorf("journal: %w", j.broken)
	}
	j.put(o)
	j.mu.Unlock()
	select {
	case err := <-o.done:
		if err != nil {
			return fmt.Errorf("journal: delayed: %w", err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

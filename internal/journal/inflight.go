package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatrelay/bridge"
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
	void   bool // it would overtake one of its lane: it counts as not committed
}

// errOvertakes: the bind of one before it in its lane has failed, and that one is not bound again.
var errOvertakes = errors.New("one before it in its lane is not bound")

func (o *bindOp) size() (int, int) { return 1, len(o.data) }
func (o *bindOp) number() uint64   { return o.ticket }
func (o *bindOp) end(j *Journal, err error) bool {
	err = o.outcome(err)
	if err == nil || o.l == nil || o.l.finished() || o.l.epoch != o.epoch {
		return false
	}
	if o.l.durable.bound && o.l.durable.epoch == o.epoch {
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

func (o *bindOp) apply(t *txn) {
	if o.l == nil || o.l.finished() || o.l.epoch != o.epoch || o.l.state != inflight && o.l.state != settling {
		return // closed, or undone by an earlier operation of the wire
	}
	if o.void = t.j.ready[o.l.lane.side].overtakes(o.l); o.void {
		return
	}
	t.bind(o.l, o.data, o.epoch)
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

func (o *unbindOp) apply(t *txn) {
	for _, d := range o.deliveries {
		if !d.finished() {
			t.unbind(d)
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
		if d == nil || d.state == uncommitted {
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
	if d := j.deliveryOf(ref); d != nil && d.state != uncommitted {
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
func (o *stateOp) apply(t *txn)                   { t.setState(o.side, o.rows) }
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
func (o *countOp) apply(t *txn)                   { t.counts[o.name] += o.n }
func (o *countOp) end(_ *Journal, err error) bool { return err != nil }

// span is a run of tickets.
type span struct{ from, to uint64 }

// spansKept is how many failed commits are remembered: a wire asks within moments.
const spansKept = 1024

// Wait implements bridge.SideJournal. A ticket that is settled is answered even when ctx has ended.
func (j *Journal) Wait(ctx context.Context, ticket uint64) error {
	for {
		j.mu.Lock()
		if ticket > j.ticket {
			defer j.mu.Unlock()
			return fmt.Errorf("journal: ticket %d was never given out", ticket)
		}
		if ticket <= j.resolvedTo {
			defer j.mu.Unlock()
			return j.outcome(ticket)
		}
		if j.broken != nil {
			defer j.mu.Unlock()
			return fmt.Errorf("journal: %w", j.broken)
		}
		wakeup := j.resolved.Wait()
		j.mu.Unlock()
		select {
		case <-wakeup:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (j *Journal) outcome(ticket uint64) error {
	for _, s := range j.failedTickets {
		if s.from <= ticket && ticket <= s.to {
			return fmt.Errorf("journal: ticket %d was not committed", ticket)
		}
	}
	return nil
}

// resolve marks all tickets up to one as settled.
func (j *Journal) resolve(to uint64, err error) {
	if to <= j.resolvedTo {
		return
	}
	if err != nil {
		if n := len(j.failedTickets); n > 0 && j.failedTickets[n-1].to == j.resolvedTo {
			j.failedTickets[n-1].to = to
		} else {
			j.failedTickets = append(j.failedTickets, span{j.resolvedTo + 1, to})
		}
		if len(j.failedTickets) > spansKept {
			j.failedTickets = j.failedTickets[1:]
		}
	}
	j.resolvedTo = to
}

// deliveryOf finds a delivery that may still change.
func (j *Journal) deliveryOf(ref bridge.Ref) *delivery {
	m := j.entries[ref.Msg]
	if m == nil {
		return nil
	}
	d := m.delivery(ref.Delivery)
	if d == nil || d.finished() {
		return nil
	}
	return d
}

// State implements bridge.SideJournal.
func (j *Journal) State(ctx context.Context, side bridge.SideID) (map[string][]byte, error) {
	if err := j.barrier(ctx); err != nil {
		return nil, err
	}
	rows, err := j.read().QueryContext(j.reading(ctx), "SELECT key, value FROM side_state WHERE side = ?", int64(side))
	if err != nil {
		return nil, fmt.Errorf("journal: state: %w", err)
	}
	defer rows.Close()
	state := map[string][]byte{}
	for rows.Next() {
		var key string
		var value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return nil, fmt.Errorf("journal: state: %w", err)
		}
		state[key] = value
	}
	return state, rows.Err()
}

// Bound implements bridge.SideJournal.
func (j *Journal) Bound(ctx context.Context, side bridge.SideID) ([]bridge.BoundDelivery, error) {
	if err := j.barrier(ctx); err != nil {
		return nil, err
	}
	rows, err := j.read().QueryContext(j.reading(ctx), `SELECT l.msg, l.leg, b.how FROM bound b JOIN legs l ON l.seq = b.seq
		WHERE l.side = ? AND l.state = 0 ORDER BY b.ord`, int64(side))
	if err != nil {
		return nil, fmt.Errorf("journal: bound: %w", err)
	}
	defer rows.Close()
	var deliveries []bridge.BoundDelivery
	for rows.Next() {
		var b bridge.BoundDelivery
		if err := rows.Scan(&b.Ref.Msg, &b.Ref.Delivery, &b.Binding); err != nil {
			return nil, fmt.Errorf("journal: bound: %w", err)
		}
		deliveries = append(deliveries, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("journal: bound: %w", err)
	}
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
		if err != nil && ctx.Err() == nil && permanent(err) {
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

// barrier waits until all that was said before is in the file.
func (j *Journal) barrier(ctx context.Context) error {
	j.mu.Lock()
	idle := j.queue.ops.len() == 0 && !j.busy && j.broken == nil
	j.mu.Unlock()
	if idle {
		return nil
	}
	return j.Ping(ctx)
}

// Ping waits until the writer has answered all that was said before. An error: it could not be written, or ctx
// ended. It may be asked for ever, also while the disk is full: nothing of it is kept.
func (j *Journal) Ping(ctx context.Context) error {
	j.mu.Lock()
	j.ticket++
	ticket := j.ticket
	j.put(&barrierOp{ticket})
	j.mu.Unlock()
	return j.Wait(ctx, ticket)
}

// barrierOp changes nothing.
type barrierOp struct{ ticket uint64 }

func (o *barrierOp) size() (int, int)         { return 1, 0 }
func (o *barrierOp) number() uint64           { return o.ticket }
func (o *barrierOp) apply(*txn)               {}
func (o *barrierOp) end(*Journal, error) bool { return false }

// Delayed implements bridge.Queue.
func (j *Journal) Delayed(ctx context.Context, atLeast time.Duration) error {
	j.mu.Lock()
	o := &delayOp{entries: j.overdue(j.running() - atLeast.Milliseconds()), done: make(chan error, 1)}
	if len(o.entries) == 0 || !j.opt.Notices.Delayed {
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

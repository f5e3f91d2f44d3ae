package journal

import (
	"context"
	"fmt"
	"time"

	"chatrelay/bridge"
)

// Bind implements bridge.SideJournal. A delivery that is closed already keeps nothing, but has its ticket.
func (j *Journal) Bind(ref bridge.Ref, how []byte) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.legOf(ref)
	if l != nil {
		switch l.stand {
		case waiting:
			l.lane.remove(l)
			l.stand = held
		case out:
			l.stand = held
		}
	}
	j.ticket++
	o := &bindOp{l: l, how: append([]byte{}, how...), ticket: j.ticket}
	if l != nil {
		o.lap = l.lap
	}
	j.put(o)
	return j.ticket
}

type bindOp struct {
	l      *leg // nil: unknown
	lap    uint32
	how    []byte
	ticket uint64
}

func (o *bindOp) size() (int, int) { return 1, len(o.how) }
func (o *bindOp) number() uint64   { return o.ticket }
func (l *leg) finished() bool      { return l.book.gone || l.book.dead }
func (o *bindOp) end(j *Journal, err error) bool {
	if err == nil || o.l == nil || o.l.finished() || o.l.lap != o.lap {
		return false
	}
	if o.l.book.bound && o.l.book.lap == o.lap {
		return true // the wire has gone on; the journal must follow (a released packet is never published again)
	}
	if o.l.stand == held {
		j.giveBack(o.l)
	}
	return false
}

// giveBack puts a delivery that a wire held back into its lane. What was said of it before counts no more: a bind
// that is still in the queue must neither bind it again nor, failing, take it from who holds it by then.
func (j *Journal) giveBack(l *leg) {
	l.lap++
	j.queueUp(l)
}

func (o *bindOp) apply(t *txn) {
	if o.l == nil || o.l.finished() || o.l.lap != o.lap || o.l.stand != held && o.l.stand != closing {
		return // closed, or undone by an earlier operation of the wire
	}
	t.bind(o.l, o.how, o.lap)
}

// Unbind implements bridge.SideJournal: the deliveries are with Next at once, for what hands them out again is queued
// behind this.
func (j *Journal) Unbind(refs ...bridge.Ref) {
	j.mu.Lock()
	defer j.mu.Unlock()
	o := &unbindOp{}
	for _, ref := range refs {
		if l := j.legOf(ref); l != nil && l.stand == held {
			o.legs = append(o.legs, l)
			j.giveBack(l)
		}
	}
	if len(o.legs) > 0 {
		j.put(o)
	}
}

type unbindOp struct{ legs []*leg }

func (o *unbindOp) size() (int, int) { return len(o.legs), 0 }

func (o *unbindOp) end(_ *Journal, err error) bool { return err != nil }

func (o *unbindOp) apply(t *txn) {
	for _, l := range o.legs {
		if !l.finished() {
			t.unbind(l)
		}
	}
}

// Close implements bridge.SideJournal and bridge.Queue. Closing a delivery that the far side has not got yet, because it
// waits, is allowed: nothing hands it out any more.
func (j *Journal) Settle(results ...bridge.Result) {
	if len(results) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range results {
		l := j.legOf(r.Ref)
		if l == nil || l.stand == unborn {
			continue
		}
		if l.stand == waiting {
			l.lane.remove(l)
		}
		l.stand = closing
	}
	j.put(&closeOp{results: append([]bridge.Result(nil), results...), mark: j.mark(results)})
}

// Bounce implements bridge.SideJournal. A delivery that is not settled yet becomes a dead letter.
func (j *Journal) Bounce(ref bridge.Ref, why *bridge.Refusal) {
	if why == nil {
		why = bridge.Refuse("bounced", "the far side gave it back")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if l := j.legOf(ref); l != nil && l.stand != unborn {
		if l.stand == waiting {
			l.lane.remove(l)
		}
		l.stand = closing
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
		if ticket <= j.settled {
			defer j.mu.Unlock()
			return j.outcome(ticket)
		}
		if j.broken != nil {
			defer j.mu.Unlock()
			return fmt.Errorf("journal: %w", j.broken)
		}
		bell := j.waiting
		j.asked = true
		j.mu.Unlock()
		select {
		case <-bell:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (j *Journal) outcome(ticket uint64) error {
	for _, s := range j.failing {
		if s.from <= ticket && ticket <= s.to {
			return fmt.Errorf("journal: ticket %d was not committed", ticket)
		}
	}
	return nil
}

// resolve marks all tickets up to one as settled.
func (j *Journal) resolve(to uint64, err error) {
	if to <= j.settled {
		return
	}
	if err != nil {
		if n := len(j.failing); n > 0 && j.failing[n-1].to == j.settled {
			j.failing[n-1].to = to
		} else {
			j.failing = append(j.failing, span{j.settled + 1, to})
		}
		if len(j.failing) > spansKept {
			j.failing = j.failing[1:]
		}
	}
	j.settled = to
}

// legOf finds a delivery that may still change.
func (j *Journal) legOf(ref bridge.Ref) *leg {
	m := j.letters[ref.Msg]
	if m == nil {
		return nil
	}
	l := m.leg(ref.Delivery)
	if l == nil || l.finished() {
		return nil
	}
	return l
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
	var legs []bridge.BoundDelivery
	for rows.Next() {
		var b bridge.BoundDelivery
		if err := rows.Scan(&b.Ref.Msg, &b.Ref.Delivery, &b.Binding); err != nil {
			return nil, fmt.Errorf("journal: bound: %w", err)
		}
		legs = append(legs, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("journal: bound: %w", err)
	}
	return j.dress(ctx, legs)
}

// dress adds to bound deliveries what travels.
func (j *Journal) dress(ctx context.Context, legs []bridge.BoundDelivery) ([]bridge.BoundDelivery, error) {
	kept := legs[:0]
	for _, b := range legs {
		j.mu.Lock()
		l := j.legOf(b.Ref)
		j.mu.Unlock()
		if l == nil {
			continue
		}
		o, err := j.outbound(ctx, l)
		if err != nil && ctx.Err() == nil && lasting(err) {
			j.setAside(l, err) // one bad page must not keep the side from starting
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
	idle := len(j.queue) == 0 && !j.busy && j.broken == nil
	j.mu.Unlock()
	if idle {
		return nil
	}
	return j.Ping(ctx)
}

// Answer waits until the writer has answered all that was said before. An error: it could not be written, or ctx
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
	o := &delayOp{letters: j.late(j.running() - atLeast.Milliseconds()), done: make(chan error, 1)}
	if len(o.letters) == 0 || !j.opt.Notices.Delayed {
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

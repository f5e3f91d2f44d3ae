package bridgetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"chatrelay/bridge"
)

// SideJournal is one run's view of a Memory: bridge.SideJournal, and bridge.Inlet for what the side hears.
type SideJournal struct {
	m          *Memory
	generation int

	mu    sync.Mutex       // guards ended
	ended map[uint64]error // generations that ended with an error
}

// SideJournal begins a run.
func (m *Memory) SideJournal() *SideJournal {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &SideJournal{m: m, generation: m.generation, ended: map[uint64]error{}}
}

// enqueue gives a ticket, once now has changed what needs no commit. The queue of a dead run goes nowhere.
func (d *SideJournal) enqueue(o sideOp, now func()) uint64 {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if d.generation != d.m.generation {
		return 1 << 62
	}
	d.m.ticket++
	o.generation, o.ticket = d.generation, d.m.ticket
	if now != nil {
		now()
	}
	if len(d.m.queue) == 0 {
		d.m.due = time.Now().Add(d.m.delay)
	}
	d.m.queue = append(d.m.queue, o)
	d.m.broadcast()
	return o.ticket
}

// Bind implements bridge.SideJournal.
func (d *SideJournal) Bind(ref bridge.Ref, binding []byte) uint64 {
	binding = slices.Clone(binding)
	var l *memoryDelivery
	var mine uint64
	return d.enqueue(sideOp{
		apply: func() {
			if l.closed {
				return
			}
			if !l.bound {
				d.m.binds++
				l.seq = d.m.binds
			}
			l.bound, l.binding = true, binding
		},
		undo: func(error) bool {
			if l.bound {
				return true // the wire has gone on; the journal must follow
			}
			if l.with == Bound && l.ticket == mine {
				l.with = Waiting
			}
			return false
		},
	}, func() {
		l, mine = d.m.byRef[ref], d.m.ticket
		l.ticket = mine
		if l.with != Settled {
			l.with = Bound
		}
	})
}

// Wait implements bridge.SideJournal.
func (d *SideJournal) Wait(ctx context.Context, ticket uint64) error {
	for {
		d.m.mu.Lock()
		dead, ok, failed, changed := d.generation != d.m.generation, ticket <= d.m.done, d.m.failed[ticket], d.m.changed.Wait()
		d.m.mu.Unlock()
		switch {
		case dead:
			return errDead
		case failed:
			return errors.New("bridgetest: that commit failed")
		case ok:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Bound implements bridge.SideJournal.
func (d *SideJournal) Bound(context.Context, bridge.SideID) ([]bridge.BoundDelivery, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	var deliveries []*memoryDelivery
	for _, l := range d.m.deliveries {
		if l.bound && !l.closed {
			deliveries = append(deliveries, l)
		}
	}
	slices.SortFunc(deliveries, func(x, y *memoryDelivery) int { return x.seq - y.seq })
	var out []bridge.BoundDelivery
	for _, l := range deliveries {
		out = append(out, bridge.BoundDelivery{Outbound: l.out, Binding: l.binding})
	}
	return out, nil
}

// Unbind implements bridge.SideJournal: the deliveries are with Next at once.
func (d *SideJournal) Unbind(refs ...bridge.Ref) {
	d.enqueue(sideOp{apply: func() {
		for _, ref := range refs {
			d.m.byRef[ref].bound = false
		}
	}}, func() {
		for _, ref := range refs {
			if l := d.m.byRef[ref]; l.with == Bound {
				l.with = Waiting
			}
		}
	})
}

// Settle implements bridge.SideJournal.
func (d *SideJournal) Settle(results ...bridge.Result) {
	var last uint64
	d.enqueue(sideOp{apply: func() {
		for _, r := range results {
			if d.m.closes++; r.Unproven {
				last++
			}
			if l := d.m.byRef[r.Ref]; !l.closed {
				l.closed, l.err = true, r.Err
				if r.Unproven && l.out.Kind.IsMessage() {
					d.m.unproven = append(d.m.unproven, memoryUnproven{last, len(l.out.Body)})
				}
			}
			d.m.write(r.State)
		}
	}}, func() {
		last = d.m.marks
		for _, r := range results {
			if d.m.byRef[r.Ref].with = Settled; r.Unproven {
				d.m.marks++
			}
		}
	})
}

// LastUnproven implements bridge.SideJournal.
func (d *SideJournal) LastUnproven() uint64 {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.m.marks
}

// Confirm implements bridge.SideJournal.
func (d *SideJournal) Confirm(_ bridge.SideID, last uint64) {
	d.enqueue(sideOp{apply: func() {
		for len(d.m.unproven) > 0 && d.m.unproven[0].n <= last {
			d.m.unproven = d.m.unproven[1:]
		}
	}}, nil)
}

// BounceUnconfirmed implements bridge.SideJournal: it counts.
func (d *SideJournal) BounceUnconfirmed(_ bridge.SideID, upTo uint64, longer int, _ *bridge.Refusal) {
	d.enqueue(sideOp{apply: func() {
		for len(d.m.unproven) > 0 && d.m.unproven[0].n <= upTo {
			if d.m.unproven[0].size > longer {
				d.m.counts[bridge.Unconfirmed]++
			}
			d.m.unproven = d.m.unproven[1:]
		}
	}}, nil)
}

// Bounce implements bridge.SideJournal: it counts.
func (d *SideJournal) Bounce(bridge.Ref, *bridge.Refusal) {
	d.enqueue(sideOp{apply: func() { d.m.counts["bounced"]++ }}, nil)
}

// State implements bridge.SideJournal.
func (d *SideJournal) State(context.Context, bridge.SideID) (map[string][]byte, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return maps.Clone(d.m.state), nil
}

// SetState implements bridge.SideJournal.
func (d *SideJournal) SetState(_ bridge.SideID, rows ...bridge.StateRow) uint64 {
	rows = slices.Clone(rows)
	return d.enqueue(sideOp{apply: func() { d.m.write(rows) }}, nil)
}

// Count implements bridge.SideJournal.
func (d *SideJournal) Count(_ bridge.SideID, name string, n int) {
	d.enqueue(sideOp{apply: func() { d.m.counts[name] += n }}, nil)
}

// Offer implements bridge.Inlet.
func (d *SideJournal) Offer(ctx context.Context, in bridge.Inbound) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.m.mu.Lock()
	judge := d.m.judge
	var verdict error
	if judge != nil {
		verdict = judge(in)
	}
	d.m.mu.Unlock()
	verdict = d.sticky(in, verdict)
	var refusal *bridge.Refusal
	if verdict != nil && !errors.As(verdict, &refusal) {
		in.Ack(verdict)
		return nil
	}
	d.enqueue(sideOp{
		apply: func() {
			if verdict = d.sticky(in, verdict); verdict != nil && !errors.As(verdict, &refusal) {
				return // an earlier one of its generation failed meanwhile
			}
			d.m.taken = append(d.m.taken, in)
			d.m.write(in.State)
		},
		after: func() {
			in.Ack(verdict)
			d.m.set(func() { d.m.acked++ })
		},
		undo: func(err error) bool { go in.Ack(d.sticky(in, err)); return false },
	}, nil)
	return nil
}

// sticky keeps what Inbound.Gen promises.
func (d *SideJournal) sticky(in bridge.Inbound, verdict error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before := d.ended[in.Gen]; before != nil {
		return before
	}
	var refusal *bridge.Refusal
	switch {
	case verdict == nil, errors.As(verdict, &refusal):
	case errors.Is(verdict, bridge.ErrFull) && !in.Redelivers:
	default:
		d.ended[in.Gen] = verdict
	}
	return verdict
}

// Next hands out the oldest waiting delivery.
func (d *SideJournal) Next(ctx context.Context) (bridge.Outbound, error) {
	for {
		d.m.mu.Lock()
		if d.generation != d.m.generation {
			d.m.mu.Unlock()
			return bridge.Outbound{}, errDead
		}
		for _, l := range d.m.deliveries {
			if l.with == Waiting {
				l.with = HandedOut
				d.m.broadcast()
				d.m.mu.Unlock()
				return l.out, nil
			}
		}
		changed := d.m.changed.Wait()
		d.m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return bridge.Outbound{}, ctx.Err()
		}
	}
}

// Release gives a delivery back that was handed out and not bound.
func (d *SideJournal) Release(ref bridge.Ref) {
	d.m.set(func() {
		if l := d.m.byRef[ref]; d.generation == d.m.generation && l.with == HandedOut {
			l.with = Waiting
		}
	})
}

// Dispatch sends what the journal has until ctx ends, like bridge.Dispatcher.
func (d *SideJournal) Dispatch(ctx context.Context, s bridge.Side) {
	for {
		out, err := d.Next(ctx)
		if err != nil {
			return
		}
		err = s.Send(ctx, out)
		var refusal *bridge.Refusal
		switch {
		case err == nil:
		case errors.As(err, &refusal):
			d.Settle(bridge.Result{Ref: out.Ref, Err: refusal})
		default:
			if errors.Is(err, bridge.ErrDown) {
				d.m.set(func() { d.m.downs++ })
			}
			d.Release(out.Ref)
			select {
			case <-ctx.Done():
				return
			case <-time.After(5 * time.Millisecond): // the real dispatcher backs off, too
			}
		}
	}
}

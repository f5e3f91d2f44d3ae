package app

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
)

// meter measures messages as they pass between the bridge, the journal and the sides, and has it written down what happens to
// each (trace, debug log). It remembers only what is handed out or on a wire, so what waits costs nothing.
type meter struct {
	trace   *trace.Recorder // nil: nothing is written down
	log     zerolog.Logger
	observe func(name string, to bridge.SideID, seconds float64)
	clock   func() time.Time

	mu       sync.Mutex // guards all below
	out      map[bridge.Ref]departure
	inFlight map[bridge.SideID]int
}

// departure is a delivery that a dispatcher or a wire has in hand.
type departure struct {
	side       bridge.SideID
	kind       bridge.Kind
	to, status string
	taken      time.Time // zero: not measured, as it is no message, or of an earlier life
	bound      bool
}

func newMeter(observe func(string, bridge.SideID, float64), clock func() time.Time) *meter {
	return &meter{observe: observe, clock: clock, out: map[bridge.Ref]departure{}, inFlight: map[bridge.SideID]int{}}
}

// InFlight is how many deliveries a wire has in hand.
func (m *meter) InFlight(side bridge.SideID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inFlight[side]
}

func (m *meter) handedOut(side bridge.SideID, o *bridge.Outbound) {
	d := departure{side: side, kind: o.Kind, to: o.To, status: o.Note.Status}
	if o.Kind.IsMessage() {
		d.taken = m.clock().Add(-o.Age)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(o.Ref) // a commit that failed has undone its binding
	m.out[o.Ref] = d
}

func (m *meter) bound(side bridge.SideID, ref bridge.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, known := m.out[ref]
	if d.bound {
		return // another phase of it
	}
	if !known {
		d.side = side
	}
	d.bound = true
	m.out[ref] = d
	m.inFlight[d.side]++
	if known {
		m.trace.Bound(ref, d.side, d.kind, d.to, d.status)
	}
	if !d.taken.IsZero() {
		m.observe(admin.QueueSeconds, d.side, m.clock().Sub(d.taken).Seconds())
	}
}

// requeued: the delivery is not on its way any more.
func (m *meter) requeued(refs ...bridge.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range refs {
		m.forget(ref)
	}
}

func (m *meter) settled(results []bridge.Result) {
	m.trace.Settled(results)
	for _, r := range results {
		m.say(r.Ref, "settled", r.Err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range results {
		if d := m.out[r.Ref]; r.Err == nil && d.bound && !d.taken.IsZero() {
			m.observe(admin.DeliverySeconds, d.side, m.clock().Sub(d.taken).Seconds())
		}
		m.forget(r.Ref)
	}
}

// chosen hears which deliveries the journal has chosen for what it does.
func (m *meter) chosen(what journal.Choice, why *bridge.Refusal, refs []bridge.Ref) {
	switch what {
	case journal.ChosePutAway:
		m.happened(trace.PutAway, refs...)
	case journal.ChoseProven:
		m.happened(trace.Proven, refs...)
	case journal.ChoseUnproved:
		for _, ref := range refs {
			m.trace.Bounced(ref, why)
			m.say(ref, string(trace.Bounced), why)
		}
	case journal.ChoseUnreadable:
		for _, ref := range refs {
			m.settled([]bridge.Result{{Ref: ref, Err: why}})
		}
	}
}

// happened: somebody, or the journal itself, did this to deliveries that no wire has in hand.
func (m *meter) happened(what trace.Event, refs ...bridge.Ref) {
	m.trace.Happened(what, refs...)
	for _, ref := range refs {
		m.say(ref, string(what), nil)
	}
}

// say logs what became of a delivery, for who follows one message by its number.
func (m *meter) say(ref bridge.Ref, what string, why error) {
	if e := m.log.Debug(); e.Enabled() {
		e.Uint64("msg", ref.Msg).Stringer("ref", ref).Err(why).Msg(what)
	}
}

// forget is called with m.mu held.
func (m *meter) forget(ref bridge.Ref) {
	if d := m.out[ref]; d.bound {
		m.inFlight[d.side]--
	}
	delete(m.out, ref)
}

// meteredAppender measures commits.
type meteredAppender struct {
	bridge.Appender
	m *meter
}

func (a meteredAppender) Append(ctx context.Context, recs []*bridge.Record) error {
	begun := a.m.clock()
	err := a.Appender.Append(ctx, recs)
	if err == nil {
		a.m.trace.Offered(recs)
	}
	if err == nil && len(recs) > 0 {
		a.m.observe(admin.CommitSeconds, bridge.MQTT+bridge.XMPP-recs[0].Origin, a.m.clock().Sub(begun).Seconds())
	}
	return err
}

// meteredQueue sees what dispatchers get and give back.
type meteredQueue struct {
	bridge.Queue
	m *meter
}

func (q meteredQueue) Next(ctx context.Context, side bridge.SideID) (bridge.Outbound, error) {
	o, err := q.Queue.Next(ctx, side)
	if err == nil {
		q.m.handedOut(side, &o)
	}
	return o, err
}

func (q meteredQueue) Release(ref bridge.Ref) {
	q.m.requeued(ref)
	q.Queue.Release(ref)
}

func (q meteredQueue) Defer(ref bridge.Ref, wait time.Duration, reason string) {
	q.m.requeued(ref)
	q.m.trace.Deferred(ref, wait, reason)
	q.Queue.Defer(ref, wait, reason)
}

func (q meteredQueue) Hold(ref bridge.Ref, wait time.Duration, reason string) {
	q.m.requeued(ref)
	q.m.trace.Held(ref, wait, reason)
	q.Queue.Hold(ref, wait, reason)
}

func (q meteredQueue) ReleaseAfter(ref bridge.Ref, wait time.Duration) {
	q.m.requeued(ref)
	q.Queue.ReleaseAfter(ref, wait)
}

func (q meteredQueue) Settle(results ...bridge.Result) {
	q.m.settled(results)
	q.Queue.Settle(results...)
}

// meteredSideJournal sees what a side has on its wire.
type meteredSideJournal struct {
	bridge.SideJournal
	side bridge.SideID
	m    *meter
}

func (j meteredSideJournal) Bind(ref bridge.Ref, binding []byte) uint64 {
	j.m.bound(j.side, ref)
	return j.SideJournal.Bind(ref, binding)
}

func (j meteredSideJournal) Bound(ctx context.Context, side bridge.SideID) ([]bridge.BoundDelivery, error) {
	found, err := j.SideJournal.Bound(ctx, side)
	for i := range found {
		j.m.trace.Resumed(&found[i].Outbound, side)
		j.m.bound(side, found[i].Ref)
	}
	return found, err
}

func (j meteredSideJournal) Unbind(refs ...bridge.Ref) {
	j.m.requeued(refs...)
	j.m.trace.Unbound(refs...)
	for _, ref := range refs {
		j.m.say(ref, "the wire has lost it; it waits again", nil)
	}
	j.SideJournal.Unbind(refs...)
}

func (j meteredSideJournal) Bounce(ref bridge.Ref, why *bridge.Refusal) {
	j.m.trace.Bounced(ref, why)
	j.m.say(ref, string(trace.Bounced), why)
	j.SideJournal.Bounce(ref, why)
}

func (j meteredSideJournal) Settle(results ...bridge.Result) {
	j.m.settled(results)
	j.SideJournal.Settle(results...)
}

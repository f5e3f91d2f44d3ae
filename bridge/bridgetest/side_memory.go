package bridgetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

// Memory is a journal in memory for the tests of a side. What is enqueued becomes true at the next commit; Crash
// loses what is not committed, as kill -9 does. Each run of a Side has a SideJournal of its own, dead after the crash.
// It keeps the promises of bridge.SideJournal and bridge.Inlet, and nothing else of a journal: no keys, no notices.
type Memory struct {
	mu         sync.Mutex // guards all below
	generation int
	ticket     uint64 // newest given
	done       uint64 // newest decided
	failed     map[uint64]bool
	queue      []sideOp
	held       bool
	sick       error
	delay      time.Duration
	due        time.Time // of the next commit
	changed    wait.Broadcast

	deliveries []*memoryDelivery
	byRef      map[bridge.Ref]*memoryDelivery
	state      map[string][]byte
	counts     map[string]int
	binds      int // ever, to number the bindings

	marks    uint64 // unproven results so far
	unproven []memoryUnproven

	taken  []bridge.Inbound
	acked  int
	judge  func(bridge.Inbound) error // verdict on an offer; nil: taken
	closes int
	fails  int
	downs  int
	limit  time.Duration
}

// DeliveryState is where a delivery is.
type DeliveryState string

// States of a delivery.
const (
	Waiting   DeliveryState = "waiting"
	HandedOut DeliveryState = "handed" // to the dispatcher, or to a side whose Bind is not committed
	Bound     DeliveryState = "bound"
	Settled   DeliveryState = "closed"
)

// memoryUnproven is a delivery that was closed as unproven and is not confirmed.
type memoryUnproven struct {
	n    uint64
	size int
}

type memoryDelivery struct {
	out bridge.Outbound
	// with says who has it now, ahead of the commits: Waiting with Next, Handed with the dispatcher, Bound with the
	// wire, Closed with nobody.
	with   DeliveryState
	ticket uint64 // of the last Bind
	// What is committed.
	bound, closed bool
	binding       []byte
	seq           int
	err           error
}

// state is what is committed, for tests.
func (l *memoryDelivery) state() DeliveryState {
	switch {
	case l.closed:
		return Settled
	case l.with == Waiting:
		return Waiting
	case l.bound:
		return Bound
	}
	return HandedOut
}

// sideOp is one thing in the queue.
type sideOp struct {
	generation int
	ticket     uint64
	apply      func()
	undo       func(error) (again bool) // nil: tried again
	after      func()
}

// NewMemory makes a journal that ends with the test.
func NewMemory(tb testing.TB) *Memory {
	m := &Memory{byRef: map[bridge.Ref]*memoryDelivery{}, state: map[string][]byte{}, counts: map[string]int{},
		failed: map[uint64]bool{}, limit: untilLimit}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); m.run(ctx) }() // ends with the test
	tb.Cleanup(func() { cancel(); <-done })
	return m
}

func (m *Memory) run(ctx context.Context) {
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			m.commit(now)
		case <-ctx.Done():
			return
		}
	}
}

func (m *Memory) commit(now time.Time) {
	m.mu.Lock()
	if m.held || len(m.queue) == 0 || now.Before(m.due) {
		m.mu.Unlock()
		return
	}
	after := m.decide(len(m.queue), m.sick)
	m.due = now.Add(m.delay)
	m.mu.Unlock()
	for _, f := range after {
		f()
	}
}

// decide commits the first n operations, or fails them. It returns what is to be called afterwards.
func (m *Memory) decide(n int, sick error) (after []func()) {
	batch, rest := m.queue[:n], m.queue[n:]
	var again []sideOp
	for _, o := range batch {
		m.done = max(m.done, o.ticket)
		if sick == nil {
			o.apply()
			if o.after != nil {
				after = append(after, o.after)
			}
			continue
		}
		m.failed[o.ticket] = true
		m.fails++
		if o.undo == nil || o.undo(sick) {
			again = append(again, o)
		}
	}
	m.queue = append(again, rest...)
	m.broadcast()
	return after
}

// Step decides the oldest operation alone, with Hold on: nil commits it. It tells whether there was one.
func (m *Memory) Step(err error) bool {
	m.mu.Lock()
	if len(m.queue) == 0 {
		m.mu.Unlock()
		return false
	}
	after := m.decide(1, err)
	m.mu.Unlock()
	for _, f := range after {
		f()
	}
	return true
}

func (m *Memory) broadcast() {
	m.changed.Wake()
}

func (m *Memory) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	m.broadcast()
}

// Hold stops all commits until it is called with false.
func (m *Memory) Hold(on bool) { m.set(func() { m.held = on }) }

// Fail makes every commit fail; nil ends that.
func (m *Memory) Fail(err error) { m.set(func() { m.sick = err }) }

// Delay is how long the oldest operation waits for its commit, at least.
func (m *Memory) Delay(d time.Duration) { m.set(func() { m.delay = d }) }

// Judge sets the verdict on offers: nil takes, a *bridge.Refusal refuses for good, bridge.ErrFull and other errors
// mean what Inbound.Ack says. It is called with the journal locked. A nil function takes all.
func (m *Memory) Judge(f func(bridge.Inbound) error) { m.set(func() { m.judge = f }) }

// Crash ends a process: all its journals are dead, and what was not committed never was.
func (m *Memory) Crash() {
	m.set(func() {
		m.generation++
		m.queue = nil
		m.done = m.ticket
		for _, l := range m.deliveries {
			switch {
			case l.closed:
				l.with = Settled
			case l.bound:
				l.with = Bound
			default:
				l.with = Waiting
			}
		}
	})
}

// Add writes a delivery into the journal.
func (m *Memory) Add(kind bridge.Kind, from, to, body string) bridge.Ref {
	var ref bridge.Ref
	m.set(func() {
		ref = bridge.Ref{Msg: uint64(len(m.deliveries) + 1)}
		l := &memoryDelivery{out: bridge.Outbound{Ref: ref, Kind: kind, From: from, To: to, Body: []byte(body)}, with: Waiting}
		m.deliveries = append(m.deliveries, l)
		m.byRef[ref] = l
	})
	return ref
}

// Taken is what was taken or refused, in order of commits.
func (m *Memory) Taken() []bridge.Inbound {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.taken)
}

// Counted is one of the durable counters.
func (m *Memory) Counted(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[name]
}

// Row is a row of the side's memory, nil if there is none.
func (m *Memory) Row(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state[key]
}

// Forget removes a row of the side's memory.
func (m *Memory) Forget(key string) { m.set(func() { delete(m.state, key) }) }

// Delivery tells how a delivery stands, and with what it was closed.
func (m *Memory) Delivery(ref bridge.Ref) (DeliveryState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byRef[ref].state(), m.byRef[ref].err
}

// Sum is a picture of the journal.
type Sum struct {
	Taken       int
	Acked       int // offers that were committed and acknowledged to their side
	Queued      int // not committed yet
	Uncommitted int // deliveries that a side has bound, ahead of the commit
	Deliveries  map[DeliveryState]int
	Settles     int // calls of Close for a delivery
	Fails       int // operations whose commit failed
	Downs       int // answers ErrDown that Carry got
	Counts      map[string]int
	Rows        int
	Unproven    int // closed as unproven, and neither confirmed nor bounced
}

// Sum adds up.
func (m *Memory) Sum() Sum {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sum()
}

func (m *Memory) sum() Sum {
	s := Sum{Taken: len(m.taken), Acked: m.acked, Queued: len(m.queue), Deliveries: map[DeliveryState]int{}, Settles: m.closes, Fails: m.fails, Downs: m.downs,
		Counts: maps.Clone(m.counts), Rows: len(m.state), Unproven: len(m.unproven)}
	for _, l := range m.deliveries {
		s.Deliveries[l.state()]++
		if l.with == Bound && !l.bound {
			s.Uncommitted++
		}
	}
	return s
}

// untilLimit is how long a condition may take to come true, unless WaitLimit says otherwise.
const untilLimit = 60 * time.Second

// SetLimit sets how long Await and the suite wait.
func (m *Memory) SetLimit(d time.Duration) { m.set(func() { m.limit = d }) }

func (m *Memory) waitLimit() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limit
}

// Await waits for a condition on the journal.
func (m *Memory) Await(what string, cond func(Sum) bool) error {
	limit := time.NewTimer(m.waitLimit())
	defer limit.Stop()
	for {
		m.mu.Lock()
		changed, s := m.changed.Wait(), m.sum()
		m.mu.Unlock()
		if cond(s) {
			return nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return fmt.Errorf("never: %s; the journal: %+v", what, s)
		}
	}
}

// Until is Await for a test.
func (m *Memory) Until(tb testing.TB, what string, cond func(Sum) bool) {
	tb.Helper()
	if err := m.Await(what, cond); err != nil {
		tb.Fatal(err)
	}
}

// AllClosed is a condition for Await: no delivery is open.
func AllClosed(s Sum) bool {
	return s.Deliveries[Waiting]+s.Deliveries[HandedOut]+s.Deliveries[Bound] == 0
}

func (m *Memory) write(rows []bridge.StateRow) {
	for _, r := range rows {
		if r.Value == nil {
			delete(m.state, r.Key)
			continue
		}
		m.state[r.Key] = slices.Clone(r.Value)
	}
}

var errDead = errors.New("bridgetest: this life is over")

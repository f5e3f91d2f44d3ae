package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/message"
)

// fields of an envelope; a nil value takes the field out.
type fields map[string]any

// envelope is a sound direct message from 1001 to 1002, with changes.
func envelope(changes fields) []byte {
	all := fields{"chatType": 1, "content": "hi", "from": "1001", "to": "1002", "timeStamp": 1700000000123}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return b
}

const room = "team@rooms.example.org"

// grouped is a sound group message from 1001.
func grouped(changes fields) []byte {
	all := fields{"chatType": 2, "groupJid": room, "to": nil}
	maps.Copy(all, changes)
	return envelope(all)
}

var testGroups = Groups{
	room:                      {"1001", "1002", "1003"},
	"alone@rooms.example.org": {"1001"},
	"empty@rooms.example.org": nil,
}

// clock is a time that the test drives. Safe for use at once.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// fakeJournal takes everything, unless do decides otherwise.
type fakeJournal struct {
	do func(recs []*Record) error // called outside mu; may wait

	mu      sync.Mutex // guards all below
	ids     uint64
	batches [][]*Record
}

func (b *fakeJournal) NewID() (uint64, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids++
	return b.ids, fmt.Sprintf("cr-test-%d", b.ids)
}

func (b *fakeJournal) Append(ctx context.Context, recs []*Record) error {
	b.mu.Lock()
	b.batches = append(b.batches, slices.Clone(recs))
	b.mu.Unlock()
	if ctx.Err() != nil {
		return errors.New("an append must not be given up")
	}
	for _, r := range recs {
		r.Outcome = map[Verdict]Outcome{VerdictTake: OutcomeTaken, VerdictIgnore: OutcomeIgnored, VerdictReject: OutcomeRefused}[r.Verdict]
	}
	if b.do != nil {
		return b.do(recs)
	}
	return nil
}

// sizes are how many records came with each Append.
func (b *fakeJournal) sizes() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	var n []int
	for _, recs := range b.batches {
		n = append(n, len(recs))
	}
	return n
}

// acks are the acknowledgements of a test, by name, in their order.
type acks struct {
	mu    sync.Mutex // guards all below
	order []string
	got   map[string]error
}

// ack is the Ack of one message; a second call fails the test.
func (a *acks) ack(t *testing.T, name string) func(error) {
	return func(err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.got == nil {
			a.got = map[string]error{}
		}
		if _, twice := a.got[name]; twice {
			t.Errorf("%s is acknowledged twice", name)
		}
		a.got[name] = err
		a.order = append(a.order, name)
	}
}

func (a *acks) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.order)
}

// errOf fails the test unless the message has been acknowledged.
func (a *acks) errOf(t *testing.T, name string) error {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	err, ok := a.got[name]
	if !ok {
		t.Errorf("%s has no acknowledgement", name)
	}
	return err
}

// fakeQueue hands out the deliveries of queue, one after the other, and writes down what it is told.
type fakeQueue struct {
	queue    chan Outbound
	nextErr  error // of Next once queue is closed
	delayErr error
	tries    int
	since    time.Duration

	mu       sync.Mutex // guards all below
	refusals []string
	deferred time.Duration
	closed   []Result
	waited   []time.Duration
}

func newQueue(deliveries ...Outbound) *fakeQueue {
	l := &fakeQueue{queue: make(chan Outbound, 100)} // more than any test needs
	for _, o := range deliveries {
		l.queue <- o
	}
	return l
}

func (l *fakeQueue) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusals = append(l.refusals, fmt.Sprintf(format, args...))
}

func (l *fakeQueue) heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.refusals)
}

func (l *fakeQueue) Next(ctx context.Context, _ SideID) (Outbound, error) {
	select {
	case o, ok := <-l.queue:
		if !ok {
			return Outbound{}, l.nextErr
		}
		return o, nil
	case <-ctx.Done():
		return Outbound{}, ctx.Err()
	}
}

func (l *fakeQueue) Release(ref Ref) { l.say("release %v", ref) }

func (l *fakeQueue) Defer(ref Ref, wait time.Duration, reason string) {
	l.say("defer %v: %s", ref, reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deferred = wait
}

func (l *fakeQueue) Hold(ref Ref, wait time.Duration, reason string) {
	l.say("hold %v: %s", ref, reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deferred = wait
}

func (l *fakeQueue) ReleaseAfter(ref Ref, wait time.Duration) { l.say("rest %v: %v", ref, wait) }

func (l *fakeQueue) Attempts(Ref) (int, time.Duration) { return l.tries, l.since }

func (l *fakeQueue) Settle(results ...Result) {
	for _, r := range results {
		l.say("close %v: %v", r.Ref, r.Err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = append(l.closed, results...)
}

func (l *fakeQueue) Delayed(_ context.Context, atLeast time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waited = append(l.waited, atLeast)
	return l.delayErr
}

// fakeSide answers Send with what send says.
type fakeSide struct {
	Side
	send func(ctx context.Context, out Outbound) error
}

func (s *fakeSide) ID() SideID { return XMPP }

func (s *fakeSide) Send(ctx context.Context, out Outbound) error { return s.send(ctx, out) }

// newJudge is a judge that serves testGroups and writes notices.
func newJudge(side SideID, now func() time.Time) *judge {
	return &judge{
		side: side, rules: message.Rules{MaxBytes: 4096, Own: "receiver"}, directory: listed(testGroups), journal: &fakeJournal{},
		limit: newLimiter(now), notices: true, may: anybody, rates: newRates(0, now), nowMS: func() int64 { return now().UnixMilli() },
	}
}

func newIntake(side SideID, journal Appender) *Intake {
	return NewIntake(IntakeConfig{
		Side: side, Rules: message.Rules{MaxBytes: 64 << 20, Own: "receiver"}, Directory: listed(testGroups), Journal: journal,
		Notices: Notices{Sent: true, Delayed: true, Failed: true}, Log: zerolog.Nop(),
	})
}

// listed is a directory that does not change.
func listed(groups Groups) func() *Directory {
	d := NewDirectory(groups)
	return func() *Directory { return d }
}

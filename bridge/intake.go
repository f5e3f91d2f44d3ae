package bridge

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/internal/wait"
	"chatrelay/message"
)

const (
	intakeOffers  = 4096    // offers that may wait for a commit; more would only make each one slower
	intakeBytes   = 8 << 20 // and their bodies and deliveries: the memory that a flood may take
	deliveryBytes = 160     // what a delivery costs: one short message to a large group needs many
	endedGens     = 16      // connections that are remembered as turned away; a side has one at a time
)

// IntakeConfig is what an intake is made of.
type IntakeConfig struct {
	Side      SideID
	Rules     message.Rules
	Directory func() *Directory          // asked for each offer
	Senders   *Senders                   // who may post to groups; nil: anybody
	May       func(from, to string) bool // whether a landline may write to another, or to a room; nil: always
	Rate      int                        // messages a second of one proven sender; 0: no limit
	Journal   Appender
	Notices   Notices
	Events    Ephemeral        // where events go; nil: nowhere
	Clock     func() time.Time // nil: time.Now
	Log       zerolog.Logger
}

// Notices says which notices are written. The last three are events.
type Notices struct{ Sent, Delayed, Failed, Received, Read, Typing bool }

// Intake judges what one side offers and stamps it into the journal. It implements Inlet.
//
// Offer judges on the side's goroutine; Run writes what has gathered while the last commit was on its way, so
// a lone message never waits and many share a commit. Only then are they acknowledged, in order.
type Intake struct {
	side     SideID
	journal  Appender
	judge    judge
	log      zerolog.Logger
	throttle *logThrottle // of Run's goroutine
	events   *events

	offered atomic.Int64
	wakeup  wait.Signal   // something waits, or some of it has gone
	space   wait.Signal   // there may be room again
	closed  chan struct{} // Run has ended

	mu      sync.Mutex // guards all below
	waiting []offer
	offers  int // waiting or in Append
	bytes   int
	over    bool // Run has ended: nothing is taken

	ended map[uint64]error // generations of which nothing is taken any more, and why; of Run's goroutine
}

// offer is one message on its way into the journal.
type offer struct {
	in   *Inbound
	rec  *Record
	why  *Refusal // of a Reject
	size int      // in memory
}

// NewIntake makes the intake of one side.
func NewIntake(c IntakeConfig) *Intake {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.May == nil {
		c.May = anybody
	}
	return &Intake{
		side: c.Side, journal: c.Journal, log: c.Log.With().Stringer("side", c.Side).Logger(), throttle: newLogThrottle(c.Clock),
		judge: judge{
			side: c.Side, rules: c.Rules, directory: c.Directory, senders: c.Senders, journal: c.Journal, limit: newLimiter(c.Clock),
			notices: c.Notices.Failed, may: c.May, rates: newRates(c.Rate, c.Clock), nowMS: func() int64 { return c.Clock().UnixMilli() },
		},
		wakeup: wait.NewSignal(), space: wait.NewSignal(), closed: make(chan struct{}),
		ended: map[uint64]error{}, events: newEvents(&c),
	}
}

// anybody may talk to anybody.
func anybody(_, _ string) bool { return true }

// Offered counts all offers of this process, whatever became of them: the counter offered.
func (i *Intake) Offered() int64 { return i.offered.Load() }

// errStopped: the wire is to keep the message and bring it again.
var errStopped = errors.New("the relay is stopping")

// Offer implements Inlet.
func (i *Intake) Offer(ctx context.Context, in Inbound) error {
	rec, why := i.judge.record(&in)
	if rec.Reason == reasonNotice && i.hears(&in) {
		return nil
	}
	o := offer{in: &in, rec: rec, why: why, size: len(in.Body) + len(rec.Deliveries)*deliveryBytes}
	for {
		taken, over := i.put(o)
		switch {
		case taken:
			i.wakeup.Set()
			return nil
		case over:
			in.Ack(errStopped)
			return nil
		}
		select {
		case <-i.space:
		case <-i.closed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// put takes an offer if there is room; one larger than all the room passes alone. It counts offered.
func (i *Intake) put(o offer) (taken, over bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over {
		i.offered.Add(1)
		return false, true
	}
	if i.offers > 0 && (i.offers >= intakeOffers || i.bytes+o.size > intakeBytes) {
		return false, false
	}
	i.offered.Add(1)
	i.waiting = append(i.waiting, o)
	i.offers++
	i.bytes += o.size
	return true, false
}

// Run writes what is offered until ctx ends; what had been offered by then is still written.
func (i *Intake) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if batch := i.take(); len(batch) > 0 {
			i.commit(ctx, batch)
			continue
		}
		select {
		case <-i.wakeup:
		case <-ctx.Done():
		}
	}
	i.finish(ctx)
	return nil
}

// finish turns the key: what comes from here on is left to its wire.
func (i *Intake) finish(ctx context.Context) {
	i.mu.Lock()
	i.over = true
	batch := i.waiting
	i.waiting = nil
	i.mu.Unlock()
	close(i.closed)
	i.commit(ctx, batch)
}

func (i *Intake) take() []offer {
	i.mu.Lock()
	defer i.mu.Unlock()
	batch := i.waiting
	i.waiting = nil
	return batch
}

// commit appends a batch and acknowledges it. A commit under way is not given up when the relay stops: its
// outcome must be known.
func (i *Intake) commit(ctx context.Context, batch []offer) {
	recs := make([]*Record, 0, len(batch))
	for _, o := range batch {
		if i.ended[o.in.Gen] == nil {
			recs = append(recs, o.rec)
		}
	}
	var err error
	if len(recs) > 0 {
		err = i.journal.Append(context.WithoutCancel(ctx), recs)
	}
	for _, o := range batch {
		i.answer(o, err)
	}
	i.release(batch)
}

func (i *Intake) answer(o offer, err error) {
	if before := i.ended[o.in.Gen]; before != nil {
		// Something of the same connection was not taken: nothing may overtake what the wire will bring again.
		o.in.Ack(before)
		return
	}
	if err == nil {
		err = i.outcome(o)
	} else if errors.Is(err, ErrFull) {
		err = ErrFull
	}
	var why *Refusal
	switch {
	case err == nil, errors.As(err, &why):
	case !errors.Is(err, ErrFull) || o.in.Redelivers:
		i.endGen(o.in.Gen, err)
		fallthrough
	default:
		i.logKept(o, err)
	}
	o.in.Ack(err)
}

// outcome turns what the journal says into what the wire is told.
func (i *Intake) outcome(o offer) error {
	switch o.rec.Outcome {
	case OutcomeFull:
		return ErrFull
	case OutcomeRefused:
		why := o.why
		if why == nil {
			why = o.rec.Why
		}
		if why == nil {
			why = Refuse("not_taken", "the journal does not take it")
		}
		i.event("refused "+why.Reason, zerolog.InfoLevel).Str("reason", why.Reason).Str("why", why.Text).
			Uint64("msg", o.rec.Number).Str("id", o.rec.SenderID).
			Str("from", o.rec.From).Str("to", o.in.To).Str("wire_from", o.in.From).Int("bytes", len(o.in.Body)).Msg("refused")
		return why
	case OutcomeUnknown:
		return errors.New("the journal gave no outcome")
	}
	if e := i.log.Debug(); e.Enabled() {
		e.Uint64("msg", o.rec.Number).Str("id", o.rec.SenderID).Str("from", o.rec.From).Str("to", o.in.To).Stringer("outcome", o.rec.Outcome).Msg("taken in")
	}
	return nil
}

// logKept logs that the wire keeps a message, or its sender is told to wait.
func (i *Intake) logKept(o offer, err error) {
	if why := o.rec.Why; why != nil {
		i.event("busy", zerolog.WarnLevel).Str("from", o.rec.From).Str("to", o.rec.Deliveries[len(o.rec.Deliveries)-1].To).
			Msg("not taken: its sender, or who it is for, has a quarter of the journal already")
		return
	}
	i.event("not taken "+err.Error(), zerolog.WarnLevel).Err(err).Msg("message not accepted for now")
}

// event logs what repeats once a minute.
func (i *Intake) event(key string, level zerolog.Level) *zerolog.Event {
	return i.throttle.event(key, func() *zerolog.Event { return i.log.WithLevel(level) })
}

// endGen lets nothing more in of a connection.
func (i *Intake) endGen(gen uint64, why error) {
	if len(i.ended) >= endedGens {
		delete(i.ended, slices.Min(slices.Collect(maps.Keys(i.ended))))
	}
	i.ended[gen] = why
}

func (i *Intake) release(batch []offer) {
	i.mu.Lock()
	i.offers -= len(batch)
	for _, o := range batch {
		i.bytes -= o.size
	}
	i.mu.Unlock()
	i.space.Set()
}

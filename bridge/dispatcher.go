package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/internal/wait"
	"chatrelay/message"
)

// downPause is how long a dispatcher waits before it offers a delivery again to a side that said ErrDown.
const downPause = 50 * time.Millisecond

// Dispatcher sends what the journal holds for one side to that side, in the order of the journal.
type Dispatcher struct {
	queue    Queue
	side     Side
	senders  *Senders
	log      zerolog.Logger
	throttle *logThrottle
	clock    func() time.Time
	// undecided: since when it is not known who may post to these rooms; of served ones, so there are few.
	undecided map[string]time.Time
}

// NewDispatcher makes the dispatcher of one side. senders is asked about what was taken undecided; nil: all of it goes.
// clock nil: time.Now.
func NewDispatcher(queue Queue, side Side, senders *Senders, clock func() time.Time, log zerolog.Logger) *Dispatcher {
	if clock == nil {
		clock = time.Now
	}
	return &Dispatcher{queue: queue, side: side, senders: senders,
		log: log.With().Stringer("side", side.ID()).Logger(), throttle: newLogThrottle(clock),
		clock: clock, undecided: map[string]time.Time{}}
}

// Run dispatches until ctx ends.
func (c *Dispatcher) Run(ctx context.Context) error {
	for {
		out, err := c.queue.Next(ctx, c.side.ID())
		if ctx.Err() != nil {
			if err == nil {
				c.queue.Release(out.Ref)
			}
			return nil
		}
		if err != nil {
			return err // the journal is broken: whoever runs us ends the process
		}
		c.dispatch(ctx, out)
	}
}

// dispatch decides what one attempt means: bound, the same again, dead, or later.
func (c *Dispatcher) dispatch(ctx context.Context, out Outbound) {
	if out.Left < 0 {
		c.expire(out)
		return
	}
	switch c.senders.leaves(&out) {
	case forbidden:
		c.bury(out, notMember())
		return
	case undecided:
		c.holdUndecided(out)
		return
	case abandoned:
		c.bury(out, Refuse("gave_up", "the group's room could not be reached for a day, so it is not known who may post there"))
		return
	}
	if out.Note.Post != nil {
		delete(c.undecided, out.Note.Post.Room)
	}
	sending := ctx
	if out.Left > 0 { // Send may wait for the side, or for its window
		limited, cancel := context.WithTimeout(ctx, out.Left)
		defer cancel()
		sending = limited
	}
	err := c.side.Send(sending, out)
	var why *Refusal
	switch {
	case err == nil: // bound: only the side may close it now
		if e := c.log.Debug(); e.Enabled() {
			e.Uint64("msg", out.Ref.Msg).Stringer("ref", out.Ref).Str("from", out.From).Str("to", out.To).Msg("on the wire")
		}
	case errors.As(err, &why):
		c.bury(out, why)
	case ctx.Err() == nil && sending.Err() != nil && errors.Is(err, context.DeadlineExceeded):
		c.expire(out)
	case errors.Is(err, ErrDown), ctx.Err() != nil:
		c.queue.Release(out.Ref)
		wait.Pause(ctx, downPause)
	default:
		c.deferTemporary(out, err)
	}
}

// deferTemporary holds the delivery's lane, and nothing else, for a while.
func (c *Dispatcher) deferTemporary(out Outbound, err error) {
	if soon, ok := errors.AsType[Untried](err); ok {
		c.queue.ReleaseAfter(out.Ref, soon.RetryIn())
		return
	}
	n, waited := c.queue.Attempts(out.Ref)
	if n >= giveUpTries && waited > giveUpAfter {
		c.bury(out, Refuse("gave_up", "it could not be delivered for %d hours: %v", int(giveUpAfter.Hours()), err))
		return
	}
	wait, level := backoff(n), zerolog.WarnLevel
	if soon, ok := errors.AsType[RetryLater](err); ok {
		wait, level = soon.RetryIn(), zerolog.DebugLevel
	}
	c.event("later "+err.Error(), level).Err(err).Uint64("msg", out.Ref.Msg).Stringer("ref", out.Ref).Str("to", out.To).
		Int("attempt", n+1).Dur("wait", wait).Msg("cannot be sent now; its lane waits")
	c.queue.Defer(out.Ref, wait, err.Error())
}

// holdMost is the longest time between two questions who may post: the answer is in memory, and a room that has been
// joined is not to wait for it.
const holdMost = 5 * time.Second

// holdUndecided keeps a delivery until it is known whether its sender may post. How long that takes is counted neither
// here nor by the queue: the room may be away for no fault of its own, as the XMPP side is down. The longer the room
// has been silent, the less often it is asked.
func (c *Dispatcher) holdUndecided(out Outbound) {
	room, now := out.Note.Post.Room, c.clock()
	since, ok := c.undecided[room]
	if !ok {
		since = now
		c.undecided[room] = now
	}
	wait := min(max(now.Sub(since)/2, backoffFirst), holdMost)
	c.event("undecided", zerolog.InfoLevel).Uint64("msg", out.Ref.Msg).Stringer("ref", out.Ref).Str("from", out.From).Str("room", room).
		Msg("the room's state is not known: what its sender says to this group waits")
	c.queue.Hold(out.Ref, wait, "it is not known yet who may post to the group")
}

// expire buries what its publisher wanted to arrive by now. What it says is to be nowhere any more.
func (c *Dispatcher) expire(out Outbound) {
	c.close(out, Result{Ref: out.Ref, Err: Refuse("expired", "it was worth nothing any more before it could be delivered (its sender set a time)"),
		Body: message.KeyFields(out.Body, nil, nil)})
}

func (c *Dispatcher) bury(out Outbound, why *Refusal) {
	c.close(out, Result{Ref: out.Ref, Err: why})
}

// close makes a dead letter, whose Err is a *Refusal.
func (c *Dispatcher) close(out Outbound, dead Result) {
	why := dead.Err.(*Refusal)
	c.event("dead "+why.Reason, zerolog.WarnLevel).Uint64("msg", out.Ref.Msg).Stringer("ref", out.Ref).Str("from", out.From).Str("to", out.To).
		Str("reason", why.Reason).Str("why", why.Text).Msg("dead letter")
	c.queue.Settle(dead)
}

func (c *Dispatcher) event(key string, level zerolog.Level) *zerolog.Event {
	return c.throttle.event(key, func() *zerolog.Event { return c.log.WithLevel(level) })
}

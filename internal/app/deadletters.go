package app

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/configs"
	"chatrelay/internal/admin"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
)

// deadLetters shows the journal's dead letters to the status page. What somebody does with them is written down.
type deadLetters struct {
	j        *journal.Journal
	happened func(trace.Event, ...bridge.Ref) // nil: it is not
}

// DeadLetters implements admin.Dead.
func (d deadLetters) DeadLetters(ctx context.Context, limit int) ([]admin.DeadLetter, error) {
	found, err := d.j.List(ctx, journal.Filter{Dead: true, Limit: limit})
	if err != nil {
		return nil, err
	}
	out := make([]admin.DeadLetter, len(found))
	for i, e := range found {
		out[i] = admin.DeadLetter{Ref: e.Ref.String(), Side: e.Side.String(), From: e.From, To: e.To, Reason: e.Reason, At: e.At, Bytes: e.Size}
	}
	return out, nil
}

// Requeue implements admin.Dead.
func (d deadLetters) Requeue(ctx context.Context, ref bridge.Ref) error {
	return d.byHand(trace.Requeued, ref, d.j.Requeue(ctx, ref))
}

// Drop implements admin.Dead.
func (d deadLetters) Drop(ctx context.Context, ref bridge.Ref) error {
	return d.byHand(trace.Dropped, ref, d.j.Drop(ctx, ref))
}

// RequeueSome implements admin.Dead.
func (d deadLetters) RequeueSome(ctx context.Context, p admin.Selection) (admin.Batch, error) {
	b, err := d.j.RequeueSome(ctx, filterOf(p))
	return d.batch(trace.Requeued, b), err
}

// DropSome implements admin.Dead.
func (d deadLetters) DropSome(ctx context.Context, p admin.Selection) (admin.Batch, error) {
	b, err := d.j.DropSome(ctx, filterOf(p))
	return d.batch(trace.Dropped, b), err
}

func (d deadLetters) batch(what trace.Event, b journal.Batch) admin.Batch {
	d.tell(what, b.Changed...)
	return admin.Batch{Changed: len(b.Changed), Next: b.Next, Full: b.Full}
}

func filterOf(p admin.Selection) journal.Filter {
	f := journal.Filter{Reason: p.Reason, From: p.From, To: p.To, After: p.After}
	if p.Older > 0 {
		f.Before = time.Now().Add(-p.Older)
	}
	return f
}

func (d deadLetters) byHand(what trace.Event, ref bridge.Ref, err error) error {
	switch {
	case errors.Is(err, journal.ErrUnknown):
		return admin.ErrNoDeadLetter
	case err == nil:
		d.tell(what, ref)
	}
	return err
}

func (d deadLetters) tell(what trace.Event, refs ...bridge.Ref) {
	if d.happened != nil {
		d.happened(what, refs...)
	}
}

// stopped opens the journal of a relay that does not run. What is done to its dead letters is written down as the relay would.
func stopped(ctx context.Context, c *configs.Config) (d deadLetters, closing func() error, err error) {
	j, err := journal.Open(ctx, journalOptions(c, zerolog.Nop()))
	if err != nil {
		return d, nil, err
	}
	rec, err := openTrace(c, trace.Options{MaxAge: math.MaxInt64, Clock: time.Now, Log: zerolog.Nop()}) // what is too old the relay knows
	if err != nil {
		return d, nil, errors.Join(err, j.Close())
	}
	return deadLetters{j, rec.Happened}, func() error { return errors.Join(j.Close(), rec.Close()) }, nil
}

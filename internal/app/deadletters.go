package app

import (
	"context"
	"errors"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
)

// deadLetters shows the journal's dead letters to the status page. What somebody does with them is written down.
type deadLetters struct {
	j     *journal.Journal
	trace *trace.Recorder // nil: nothing is
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
	d.trace.ByHand(what, b.Changed...)
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
		d.trace.ByHand(what, ref)
	}
	return err
}

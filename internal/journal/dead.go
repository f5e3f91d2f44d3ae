package journal

import (
	"context"

	"chatrelay/bridge"
)

// deadBatch is how many dead letters one commit changes: the relay goes on beside it.
const deadBatch = 256

// Batch is what became of a batch of dead letters.
type Batch struct {
	Changed []bridge.Ref
	Next    uint64 // Filter.After for the rest; 0: that was all
	// Full: they were not all requeued, for there is no room for more that waits. The rest begins at Next.
	Full bool
}

// RequeueSome puts a batch of the dead letters that a filter means back into their lanes, oldest first. What is not
// dead any more when its turn comes is passed over.
func (j *Journal) RequeueSome(ctx context.Context, f Filter) (Batch, error) {
	return j.changeSome(ctx, "requeue", f, &changeDeadOp{do: (*decision).requeue, waits: true})
}

// DropSome gives a batch of the dead letters that a filter means up for good, oldest first.
func (j *Journal) DropSome(ctx context.Context, f Filter) (Batch, error) {
	return j.changeSome(ctx, "drop", f, &changeDeadOp{do: (*decision).drop})
}

func (j *Journal) changeSome(ctx context.Context, what string, f Filter, o *changeDeadOp) (Batch, error) {
	f.Dead, f.Pending, f.Limit = true, false, deadBatch
	found, err := j.List(ctx, f)
	if err != nil || len(found) == 0 {
		return Batch{}, err
	}
	o.j, o.some, o.done = j, true, make(chan error, 1)
	for _, e := range found {
		o.refs = append(o.refs, e.Ref)
	}
	if err := j.waitChanged(ctx, what, o); err != nil {
		return Batch{}, err
	}
	b := Batch{Changed: o.changed, Full: o.full}
	switch {
	case o.full:
		b.Next = max(1, f.After) // what is dead still is found again
	case len(found) == deadBatch:
		b.Next = found[len(found)-1].Seq
	}
	return b, nil
}

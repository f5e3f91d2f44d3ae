package journal

import (
	"context"
	"fmt"
)

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
		if ticket <= j.resolvedTo {
			defer j.mu.Unlock()
			return j.outcome(ticket)
		}
		if j.broken != nil {
			defer j.mu.Unlock()
			return fmt.Errorf("journal: %w", j.broken)
		}
		wakeup := j.resolved.Wait()
		j.mu.Unlock()
		select {
		case <-wakeup:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (j *Journal) outcome(ticket uint64) error {
	for _, s := range j.failedTickets {
		if s.from <= ticket && ticket <= s.to {
			return fmt.Errorf("journal: ticket %d was not committed", ticket)
		}
	}
	return nil
}

// resolve notes all tickets up to one as settled.
func (j *Journal) resolve(to uint64, err error) {
	if to <= j.resolvedTo {
		return
	}
	if err != nil {
		if n := len(j.failedTickets); n > 0 && j.failedTickets[n-1].to == j.resolvedTo {
			j.failedTickets[n-1].to = to
		} else {
			j.failedTickets = append(j.failedTickets, span{j.resolvedTo + 1, to})
		}
		if len(j.failedTickets) > spansKept {
			j.failedTickets = j.failedTickets[1:]
		}
	}
	j.resolvedTo = to
}

// barrier waits until all that was said before is in the file.
func (j *Journal) barrier(ctx context.Context) error {
	j.mu.Lock()
	idle := j.queue.ops.Len() == 0 && !j.busy && j.broken == nil
	j.mu.Unlock()
	if idle {
		return nil
	}
	return j.Ping(ctx)
}

// Ping waits until the writer has answered all that was said before. An error: it could not be written, or ctx
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
func (o *barrierOp) decide(*decision)         {}
func (o *barrierOp) end(*Journal, error) bool { return false }

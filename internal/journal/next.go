package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
)

// cacheBytes is how much of the bodies stays in memory. What is oldest when there is room stays, as it goes
// out first; the rest is read back when its turn comes.
const cacheBytes = 16 << 20

// cache holds a body in memory if there is room.
func (j *Journal) cache(m *picture.Message, body []byte) {
	if j.cachedBytes+int64(len(body)) <= cacheBytes {
		m.Body = body
		j.cachedBytes += int64(len(body))
	}
}

func (j *Journal) uncache(m *picture.Message) {
	j.cachedBytes -= int64(len(m.Body))
	m.Body = nil
}

// Next implements bridge.Queue.
func (j *Journal) Next(ctx context.Context, side bridge.SideID) (bridge.Outbound, error) {
	for {
		d, err := j.waitNext(ctx, side)
		if err != nil {
			return bridge.Outbound{}, err
		}
		o, err := j.outbound(ctx, d)
		if err == nil {
			return o, nil
		}
		if ctx.Err() != nil {
			j.Release(d.Ref())
			return bridge.Outbound{}, ctx.Err()
		}
		alive, broken := j.stillHandedOut(d)
		if broken != nil {
			return bridge.Outbound{}, fmt.Errorf("journal: next: %w", broken)
		}
		if !alive {
			continue // closed meanwhile, and its row is gone
		}
		if !sqlite.Permanent(err) {
			j.log.Warn().Err(err).Stringer("ref", d.Ref()).Msg("a delivery cannot be read from the journal for now")
			j.Defer(d.Ref(), rereadPause, "unreadable")
			continue
		}
		j.buryUnreadable(d, err)
	}
}

// rereadPause is for how long the lane of a delivery pauses that could not be read.
const rereadPause = time.Second

// buryUnreadable makes a dead letter of a delivery that cannot be made from the journal.
func (j *Journal) buryUnreadable(d *delivery, err error) {
	j.log.Error().Err(err).Stringer("ref", d.Ref()).Msg("a delivery cannot be made from the journal; it is a dead letter")
	why := bridge.Refuse("unreadable", "the relay could not read it back from its journal")
	if j.opt.Chosen != nil {
		j.opt.Chosen(ChoseUnreadable, why, []bridge.Ref{d.Ref()})
	}
	j.Settle(bridge.Result{Ref: d.Ref(), Err: why})
}

func (j *Journal) stillHandedOut(d *delivery) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return d.state == handedOut, j.broken
}

// waitNext waits for a delivery and hands it out.
func (j *Journal) waitNext(ctx context.Context, side bridge.SideID) (*delivery, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		j.mu.Lock()
		c := j.ready[side]
		d, due := j.next(c)
		if d != nil {
			j.mu.Unlock()
			return d, nil
		}
		if j.broken != nil {
			defer j.mu.Unlock()
			return nil, fmt.Errorf("journal: next: %w", j.broken)
		}
		wakeup, now := c.wakeup.Wait(), j.running()
		j.mu.Unlock()
		if err := await(ctx, wakeup, due, now); err != nil {
			return nil, err
		}
	}
}

// await waits for the wakeup, or until due (0: never).
func await(ctx context.Context, wakeup <-chan struct{}, due, now int64) error {
	var alarm <-chan time.Time
	if due > 0 {
		t := time.NewTimer(time.Duration(max(due-now, 1)) * time.Millisecond)
		defer t.Stop()
		alarm = t.C
	}
	select {
	case <-wakeup:
	case <-alarm:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// next takes the oldest delivery of the lane whose turn it is (turns.go). While nothing can be written nothing is handed out:
// it could not be bound.
func (j *Journal) next(c *readyQueue) (d *delivery, due int64) {
	now := j.running()
	due = j.wakeDue(c, now)
	if j.blocked || j.broken != nil {
		return nil, due
	}
	for n := c.pop(); n != nil; n = c.pop() {
		if n.empty() {
			continue
		}
		if n.until > now {
			c.backOff(n) // by this now: by a later one its time may have come, and nothing would back off
			c.wakeup.Wake()
			due = c.backingOff[0].until
			continue
		}
		d = n.take()
		n.until = max(n.until, now+n.pace)
		j.markReady(n)
		d.state = handedOut
		return d, 0
	}
	return nil, due
}

// Release implements bridge.Queue.
func (j *Journal) Release(ref bridge.Ref) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if d := j.deliveryOf(ref); d != nil && d.state == handedOut {
		j.queueDelivery(d)
	}
}

// Defer implements bridge.Queue.
func (j *Journal) Defer(ref bridge.Ref, wait time.Duration, reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.deliveryOf(ref)
	if d == nil || d.state != handedOut {
		return
	}
	d.attempts++
	d.waited += max(0, wait.Milliseconds())
	d.lane.until = max(d.lane.until, j.running()+wait.Milliseconds())
	j.queueDelivery(d)
	j.put(&deferOp{picture.PutOff{Ref: ref, Attempts: d.attempts, Waited: d.waited, Until: j.nowMS() + wait.Milliseconds(), Reason: reason}})
}

// Hold implements bridge.Queue.
func (j *Journal) Hold(ref bridge.Ref, wait time.Duration, reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.deliveryOf(ref)
	if d == nil || d.state != handedOut {
		return
	}
	d.attempts, d.waited = 0, 0
	d.lane.until = max(d.lane.until, j.running()+wait.Milliseconds())
	j.queueDelivery(d)
	j.put(&deferOp{picture.PutOff{Ref: ref, Until: j.nowMS() + wait.Milliseconds(), Reason: reason}})
}

// ReleaseAfter implements bridge.Queue.
func (j *Journal) ReleaseAfter(ref bridge.Ref, wait time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if d := j.deliveryOf(ref); d != nil && d.state == handedOut {
		d.lane.until = max(d.lane.until, j.running()+wait.Milliseconds())
		j.queueDelivery(d)
	}
}

// deferOp has it kept.
type deferOp struct{ fact picture.PutOff }

func (o *deferOp) size() (int, int)               { return 1, 0 }
func (o *deferOp) decide(d *decision)             { d.add(&o.fact) }
func (o *deferOp) end(_ *Journal, err error) bool { return err != nil }

// Attempts implements bridge.Queue.
func (j *Journal) Attempts(ref bridge.Ref) (int, time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.deliveryOf(ref)
	if d == nil {
		return 0, 0
	}
	return int(d.attempts), time.Duration(d.waited) * time.Millisecond
}

// outbound makes what travels of a delivery.
func (j *Journal) outbound(ctx context.Context, d *delivery) (bridge.Outbound, error) {
	o := bridge.Outbound{Ref: d.Ref(), Kind: d.Kind, From: d.Message.From, To: d.To}
	if d.Kind.IsMessage() {
		now := j.running()
		o.Note.Post = d.Post
		o.Left = left(d.Message, now)
		o.Age = time.Duration(max(0, now-d.Message.Ran)) * time.Millisecond
	} else if d.Note != nil {
		o.Note = *d.Note
	}
	if d.Kind == bridge.KindReceipt || d.Kind == bridge.KindError {
		return o, nil
	}
	body, err := j.body(ctx, d.Message)
	if err == nil {
		o.Body, err = j.opt.Render(d.Message.Origin, d.Kind, d.To, body, o.Note)
	}
	if err == nil && o.Body == nil {
		o.Body = []byte{}
	}
	return o, err
}

// body reads a message back unless memory has it: of the log, as long as the tables do not have it, or of the tables.
func (j *Journal) body(ctx context.Context, m *picture.Message) ([]byte, error) {
	j.mu.Lock()
	body, place := m.Body, m.Place
	inLog := place.Frame > j.unsaved.to
	j.mu.Unlock()
	if body != nil || m.Size == 0 {
		return body, nil
	}
	var err error
	if inLog {
		if body, err = j.frames.Piece(ctx, place.Frame, int(place.BodyAt), int(place.Length)); !errors.Is(err, sqlite.ErrCut) {
			return body, err
		} // saved meanwhile
	}
	if body, err = j.tables.Body(ctx, m.ID); err != nil {
		return nil, fmt.Errorf("body of message %d: %w", m.ID, err)
	}
	return body, nil
}

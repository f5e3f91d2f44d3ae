package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatrelay/bridge"

	sqlite "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// cacheBytes is how much of the bodies stays in memory. What is oldest when there is room stays, as it goes
// out first; the rest is read back when its turn comes.
const cacheBytes = 16 << 20

// cache holds a body in memory if there is room.
func (j *Journal) cache(m *entry, body []byte) {
	if j.cachedBytes+int64(len(body)) <= cacheBytes {
		m.body = body
		j.cachedBytes += int64(len(body))
	}
}

func (j *Journal) uncache(m *entry) {
	j.cachedBytes -= int64(len(m.body))
	m.body = nil
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
			j.Release(d.ref())
			return bridge.Outbound{}, ctx.Err()
		}
		alive, broken := j.stillHandedOut(d)
		if broken != nil {
			return bridge.Outbound{}, fmt.Errorf("journal: next: %w", broken)
		}
		if !alive {
			continue // closed meanwhile, and its row is gone
		}
		if !permanent(err) {
			j.log.Warn().Err(err).Stringer("ref", d.ref()).Msg("a delivery cannot be read from the journal for now")
			j.Defer(d.ref(), readAgain, "unreadable")
			continue
		}
		j.buryUnreadable(d, err)
	}
}

// readAgain is for how long the lane of a delivery rests that could not be read.
const readAgain = time.Second

// buryUnreadable makes a dead letter of a delivery that cannot be made from the journal.
func (j *Journal) buryUnreadable(d *delivery, err error) {
	j.log.Error().Err(err).Stringer("ref", d.ref()).Msg("a delivery cannot be made from the journal; it is a dead letter")
	j.Settle(bridge.Result{Ref: d.ref(), Err: bridge.Refuse("unreadable", "the relay could not read it back from its journal")})
}

// permanent tells whether what could not be read will not be readable later either: it is damaged or not there.
// No memory, no descriptors, a disk that is away for a moment are no reason to give a message up.
func permanent(err error) bool {
	var e *sqlite.Error
	return !errors.As(err, &e) || e.Code()&0xff == codes.SQLITE_CORRUPT
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
	j.put(&deferred{d, int64(d.attempts), d.waited, j.nowMS() + wait.Milliseconds(), reason})
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
	j.put(&deferred{d, 0, 0, j.nowMS() + wait.Milliseconds(), reason})
}

// Rest implements bridge.Queue.
func (j *Journal) Rest(ref bridge.Ref, wait time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if d := j.deliveryOf(ref); d != nil && d.state == handedOut {
		d.lane.until = max(d.lane.until, j.running()+wait.Milliseconds())
		j.queueDelivery(d)
	}
}

// deferred is kept for people, and so that a delivery does not begin anew with each start of the relay.
type deferred struct {
	l                *delivery
	attempts, waited int64
	until            int64 // by the clock, for people
	reason           string
}

func (o *deferred) size() (int, int)               { return 1, 0 }
func (o *deferred) apply(t *txn)                   { t.defers = append(t.defers, *o) }
func (o *deferred) end(_ *Journal, err error) bool { return err != nil }

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
	o := bridge.Outbound{Ref: d.ref(), Kind: d.kind, From: d.entry.from, To: d.to}
	if d.kind.IsMessage() {
		o.Note.Post = d.post
		now := j.running()
		o.Left = d.entry.left(now)
		o.Age = time.Duration(max(0, now-d.entry.ran)) * time.Millisecond
	} else if d.note != nil {
		o.Note = *d.note
	}
	if d.kind == bridge.KindReceipt || d.kind == bridge.KindError {
		return o, nil
	}
	body, err := j.body(ctx, d.entry)
	if err == nil {
		o.Body, err = j.opt.Render(d.entry.origin, d.kind, d.to, body, o.Note)
	}
	if err == nil && o.Body == nil {
		o.Body = []byte{}
	}
	return o, err
}

// left is Outbound.Left.
func (m *entry) left(running int64) time.Duration {
	if m.expires == 0 {
		return 0
	}
	if left := m.expires - running; left > 0 {
		return time.Duration(left) * time.Millisecond
	}
	return -1
}

// body reads a message back unless memory has it.
func (j *Journal) body(ctx context.Context, m *entry) ([]byte, error) {
	j.mu.Lock()
	body := m.body
	j.mu.Unlock()
	if body != nil || m.size == 0 {
		return body, nil
	}
	err := j.read().QueryRowContext(j.reading(ctx), "SELECT body FROM messages WHERE id = ?", int64(m.id)).Scan(&body)
	if err != nil {
		return nil, fmt.Errorf("body of message %d: %w", m.id, err)
	}
	return body, nil
}

// reading is the context to read with: the writer's connection, which memory shares, is never cancelled.
func (j *Journal) reading(ctx context.Context) context.Context {
	if j.reader != nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// read is the connection for reading beside the writer. In memory there is only one.
func (j *Journal) read() execer {
	if j.reader != nil {
		return j.reader.bodies
	}
	return j.conn
}

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

// keep holds a body in memory if there is room.
func (j *Journal) keep(m *letter, body []byte) {
	if j.cache+int64(len(body)) <= cacheBytes {
		m.body = body
		j.cache += int64(len(body))
	}
}

func (j *Journal) uncache(m *letter) {
	j.cache -= int64(len(m.body))
	m.body = nil
}

// Next implements bridge.Queue.
func (j *Journal) Next(ctx context.Context, side bridge.SideID) (bridge.Outbound, error) {
	for {
		l, err := j.hand(ctx, side)
		if err != nil {
			return bridge.Outbound{}, err
		}
		o, err := j.outbound(ctx, l)
		if err == nil {
			return o, nil
		}
		if ctx.Err() != nil {
			j.Release(l.ref())
			return bridge.Outbound{}, ctx.Err()
		}
		alive, broken := j.alive(l)
		if broken != nil {
			return bridge.Outbound{}, fmt.Errorf("journal: next: %w", broken)
		}
		if !alive {
			continue // closed meanwhile, and its row is gone
		}
		if !lasting(err) {
			j.log.Warn().Err(err).Stringer("ref", l.ref()).Msg("a leg cannot be read from the book for now")
			j.Defer(l.ref(), readAgain, "unreadable")
			continue
		}
		j.setAside(l, err)
	}
}

// readAgain is for how long the lane of a delivery rests that could not be read.
const readAgain = time.Second

// setAside makes a dead letter of a delivery that cannot be made from the journal.
func (j *Journal) setAside(l *leg, err error) {
	j.log.Error().Err(err).Stringer("ref", l.ref()).Msg("a leg cannot be made from the book; it is a dead letter")
	j.Settle(bridge.Result{Ref: l.ref(), Err: bridge.Refuse("unreadable", "the relay could not read it back from its book")})
}

// lasting tells whether what could not be read will not be readable later either: it is damaged or not there.
// No memory, no descriptors, a disk that is away for a moment are no reason to give a message up.
func lasting(err error) bool {
	var e *sqlite.Error
	return !errors.As(err, &e) || e.Code()&0xff == codes.SQLITE_CORRUPT
}

func (j *Journal) alive(l *leg) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return l.stand == out, j.broken
}

// hand waits for a delivery and hands it out.
func (j *Journal) hand(ctx context.Context, side bridge.SideID) (*leg, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		j.mu.Lock()
		c := j.counters[side]
		l, due := j.pick(c)
		if l != nil {
			j.mu.Unlock()
			return l, nil
		}
		if j.broken != nil {
			defer j.mu.Unlock()
			return nil, fmt.Errorf("journal: next: %w", j.broken)
		}
		bell, now := c.bell, j.running()
		c.waiters++
		j.mu.Unlock()
		if err := await(ctx, bell, due, now); err != nil {
			return nil, err
		}
	}
}

// await waits for the bell, or until due (0: never).
func await(ctx context.Context, bell <-chan struct{}, due, now int64) error {
	var alarm <-chan time.Time
	if due > 0 {
		t := time.NewTimer(time.Duration(max(due-now, 1)) * time.Millisecond)
		defer t.Stop()
		alarm = t.C
	}
	select {
	case <-bell:
	case <-alarm:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// pick takes the oldest delivery of the lane whose turn it is (turns.go). While nothing can be written nothing is handed out:
// it could not be bound.
func (j *Journal) pick(c *counter) (l *leg, due int64) {
	now := j.running()
	due = j.thaw(c, now)
	if j.stuck || j.broken != nil {
		return nil, due
	}
	for n := c.pop(); n != nil; n = c.pop() {
		if n.empty() {
			continue
		}
		if n.until > now {
			c.rest(n) // by this now: by a later one its time may have come, and nothing would back off
			c.wake()
			due = c.backing[0].until
			continue
		}
		l = n.take()
		n.until = max(n.until, now+n.pace)
		j.show(n)
		l.stand = out
		if l.first == 0 {
			l.first = max(now, 1)
		}
		return l, 0
	}
	return nil, due
}

// Release implements bridge.Queue.
func (j *Journal) Release(ref bridge.Ref) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if l := j.legOf(ref); l != nil && l.stand == out {
		j.queueUp(l)
	}
}

// Defer implements bridge.Queue.
func (j *Journal) Defer(ref bridge.Ref, wait time.Duration, reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.legOf(ref)
	if l == nil || l.stand != out {
		return
	}
	l.attempts++
	l.lane.until = max(l.lane.until, j.running()+wait.Milliseconds())
	j.queueUp(l)
	j.put(&deferred{l, int64(l.attempts), l.first, j.nowMS() + wait.Milliseconds(), reason})
}

// deferred is kept for people, and so that a delivery does not begin anew with each start of the relay.
type deferred struct {
	l               *leg
	attempts, first int64
	until           int64 // by the clock, for people
	reason          string
}

func (o *deferred) size() (int, int)               { return 1, 0 }
func (o *deferred) apply(t *txn)                   { t.defers = append(t.defers, *o) }
func (o *deferred) end(_ *Journal, err error) bool { return err != nil }

// Attempts implements bridge.Queue.
func (j *Journal) Attempts(ref bridge.Ref) (int, time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.legOf(ref)
	if l == nil {
		return 0, 0
	}
	if l.first == 0 {
		return int(l.attempts), 0
	}
	return int(l.attempts), time.Duration(max(0, j.running()-l.first)) * time.Millisecond
}

// outbound makes what travels of a delivery.
func (j *Journal) outbound(ctx context.Context, l *leg) (bridge.Outbound, error) {
	o := bridge.Outbound{Ref: l.ref(), Kind: l.kind, From: l.letter.from, To: l.to}
	if l.kind.IsMessage() {
		o.Note.Post = l.post
	} else if l.note != nil {
		o.Note = *l.note
	}
	if l.kind == bridge.KindReceipt || l.kind == bridge.KindError {
		return o, nil
	}
	body, err := j.body(ctx, l.letter)
	if err == nil {
		o.Body, err = j.opt.Render(l.letter.origin, l.kind, l.to, body, o.Note)
	}
	if err == nil && o.Body == nil {
		o.Body = []byte{}
	}
	return o, err
}

// body reads a message back unless memory has it.
func (j *Journal) body(ctx context.Context, m *letter) ([]byte, error) {
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
		return j.reader
	}
	return j.conn
}

package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"chatrelay/bridge"
	"chatrelay/message"
)

// Requeue puts dead legs back into their lanes. Their message is pending again, and so is its key. All of
// them or none: a leg that is not dead is an error.
func (j *Journal) Requeue(ctx context.Context, refs ...bridge.Ref) error {
	return j.raise(ctx, "requeue", refs, (*txn).requeue)
}

// Drop gives dead legs up for good. They stay counted as dead.
func (j *Journal) Drop(ctx context.Context, refs ...bridge.Ref) error {
	return j.raise(ctx, "drop", refs, (*txn).drop)
}

// raise reads the letters of dead legs back and has the writer do something with them.
func (j *Journal) raise(ctx context.Context, what string, refs []bridge.Ref, do func(*txn, *letter, *leg)) error {
	if len(refs) == 0 {
		return nil
	}
	o := &raiseOp{j: j, refs: refs, do: do, done: make(chan error, 1)}
	if err := j.enqueue(o); err != nil {
		return fmt.Errorf("journal: %s: %w", what, err)
	}
	var err error
	select {
	case err = <-o.done:
	case <-ctx.Done():
		if j.withdraw(o) {
			return ctx.Err()
		}
		err = <-o.done
	}
	if err != nil {
		return fmt.Errorf("journal: %s: %w", what, err)
	}
	return nil
}

type raiseOp struct {
	j    *Journal
	refs []bridge.Ref
	do   func(*txn, *letter, *leg)
	err  error
	done chan error // capacity 1
}

func (o *raiseOp) size() (int, int) { return len(o.refs), 0 }

func (o *raiseOp) end(_ *Journal, err error) bool {
	o.done <- errors.Join(o.err, err)
	return false
}

// apply looks at all before it changes any. It is rare, so it may read the file under the lock.
func (o *raiseOp) apply(t *txn) {
	type pair struct {
		m *letter
		l *leg
	}
	var found []pair
	seen := map[bridge.Ref]bool{}
	for _, ref := range o.refs {
		if seen[ref] {
			continue
		}
		seen[ref] = true
		m, err := t.recall(ref.Msg)
		if err != nil {
			o.err = err
			return
		}
		l := m.leg(ref.Leg)
		if l == nil || !l.book.dead {
			o.err = fmt.Errorf("leg %v: %w", ref, ErrUnknown)
			return
		}
		found = append(found, pair{m, l})
	}
	for _, p := range found {
		o.do(t, p.m, p.l)
	}
}

// recall gives the letter of a dead leg, from the file unless memory has it. What it reads stays in memory
// only if something becomes of it.
func (t *txn) recall(id uint64) (*letter, error) {
	j := t.j
	if m := j.letters[id]; m != nil {
		return m, nil
	}
	m, err := j.readDead(id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("message %d: %w", id, ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	j.letters[id] = m
	t.undo = append(t.undo, func() { delete(j.letters, id) })
	t.closed = append(t.closed, m) // if nothing is done with it, it leaves memory again
	return m, nil
}

// readDead reads a message with its dead legs from the file.
func (j *Journal) readDead(id uint64) (*letter, error) {
	m, err := scanLetter(j.conn.QueryRowContext(context.Background(), "SELECT "+letterColumns+" FROM messages WHERE id = ?", int64(id)).Scan)
	if err != nil {
		return nil, err
	}
	m.born = j.bornAt(m.at)
	return m, j.rows(func(rows *sql.Rows) error {
		var r loadedLeg
		if err := r.scan(rows.Scan); err != nil {
			return err
		}
		_, err := j.join(m, &r)
		return err
	}, "SELECT "+legColumns+" FROM legs WHERE msg = ? AND state = 1", int64(id))
}

func (t *txn) requeue(m *letter, l *leg) {
	mb := t.touch(m)
	if mb.open == 0 {
		t.count(died, m.origin, mb.reason, -1)
		t.pending[m.origin]++
		t.pinned += int64(m.keys)
		mb.base += answerSlots // new answers, new numbers
		mb.changed, mb.reason = true, ""
		mb.bounced = false
		t.unfail(m.id)
		t.relearn(m)
		t.after = append(t.after, func() { t.j.reopen(m) })
	}
	mb.open++
	mb.dead--
	t.open[l.lane.side]++
	t.forgetDead(m)
	b := t.touchLeg(l)
	b.dead = false
	if l.note = nil; l.post != nil {
		l.note = &bridge.Note{Post: l.post}
	}
	t.revived = append(t.revived, l)
	t.after = append(t.after, func() {
		if l.finished() {
			return // closed in the same breath
		}
		l.attempts, l.first = 0, 0
		t.j.queueUp(l)
	})
}

// reopen puts a message that is pending again into the lists by age.
func (j *Journal) reopen(m *letter) {
	older := func(x *letter) bool { return x.born <= m.born }
	j.oldest.insert(m, older)
	if !m.book.delayed {
		j.young.insert(m, older)
	}
}

// relearn makes the keys of a message known again, should they have been forgotten since.
func (t *txn) relearn(m *letter) {
	var packed []byte
	err := t.j.conn.QueryRowContext(context.Background(), "SELECT keys FROM messages WHERE id = ?", int64(m.id)).Scan(&packed)
	if err != nil {
		t.j.say(t.j.log.Warn().Err(err).Uint64("msg", m.id), "the keys of a requeued message cannot be read")
		return
	}
	for ; len(packed) >= len(message.Key{}); packed = packed[len(message.Key{}):] {
		key := message.Key(packed[:len(message.Key{})])
		if _, ok := t.j.dedup.find(m.origin, key); !ok {
			t.remember(seenKey{key, m.origin, newMark(m.id, 0)})
		}
	}
}

func (t *txn) drop(m *letter, l *leg) {
	mb := t.touch(m)
	b := t.touchLeg(l)
	b.dead, b.gone = false, true
	mb.dead--
	mb.dropped++
	mb.changed = true
	t.forgetDead(m)
	if mb.open == 0 && mb.dead == 0 {
		mb.over = true // nothing of it is left
		t.idle(m)
	}
}

func (t *txn) forgetDead(m *letter) {
	t.dead.removeDead(m)
}

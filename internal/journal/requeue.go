package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"chatrelay/bridge"
	"chatrelay/message"
)

// Requeue puts dead deliveries back into their lanes. Their message is pending again, and so is its key. All of
// them or none: a delivery that is not dead is an error.
func (j *Journal) Requeue(ctx context.Context, refs ...bridge.Ref) error {
	return j.raise(ctx, "requeue", refs, (*txn).requeue)
}

// Drop gives dead deliveries up for good. They stay counted as dead.
func (j *Journal) Drop(ctx context.Context, refs ...bridge.Ref) error {
	return j.raise(ctx, "drop", refs, (*txn).drop)
}

// raise reads the messages of dead deliveries back and has the writer do something with them.
func (j *Journal) raise(ctx context.Context, what string, refs []bridge.Ref, do func(*txn, *letter, *leg)) error {
	if len(refs) == 0 {
		return nil
	}
	return j.waitRaised(ctx, what, &raiseOp{j: j, refs: refs, do: do, done: make(chan error, 1)})
}

func (j *Journal) waitRaised(ctx context.Context, what string, o *raiseOp) error {
	err := j.enqueue(o)
	if err != nil {
		return fmt.Errorf("journal: %s: %w", what, err)
	}
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
	j     *Journal
	refs  []bridge.Ref
	do    func(*txn, *letter, *leg)
	some  bool // those that are not dead any more are passed over
	waits bool // what it does adds to what waits: it ends where there is no room for that
	n     int  // how many were changed
	full  bool
	read  map[uint64]recalled // what the file has of them
	err   error
	done  chan error // capacity 1
}

func (o *raiseOp) size() (int, int) { return len(o.refs), 0 }

func (o *raiseOp) end(_ *Journal, err error) bool {
	o.done <- errors.Join(o.err, err)
	return false
}

// prepare reads the messages before the writer takes the lock.
func (o *raiseOp) prepare() { o.read, o.err = o.j.readDead(o.refs) }

// apply looks at all before it changes any.
func (o *raiseOp) apply(t *txn) {
	type pair struct {
		m *letter
		l *leg
	}
	var found []pair
	seen := map[bridge.Ref]bool{}
	for _, ref := range o.refs {
		if seen[ref] || o.err != nil {
			continue
		}
		seen[ref] = true
		m, err := t.recall(o.read, ref.Msg)
		if err != nil {
			o.err = err
			return
		}
		var l *leg
		if m != nil {
			l = m.leg(ref.Delivery)
		}
		switch {
		case l != nil && l.book.dead:
			found = append(found, pair{m, l})
		case !o.some:
			o.err = fmt.Errorf("leg %v: %w", ref, ErrUnknown)
		}
	}
	if o.err != nil {
		return
	}
	for _, p := range found {
		if most := t.j.opt.MaxPending; o.waits && most > 0 && t.j.held+o.n >= most {
			o.full = true
			return
		}
		o.do(t, p.m, p.l)
		o.n++
	}
}

// recalled is a message with its dead deliveries as the file has them.
type recalled struct {
	m    *letter
	legs []loadedLeg
}

// readDead reads messages with dead deliveries, many at a time. Only the writer calls it.
func (j *Journal) readDead(refs []bridge.Ref) (map[uint64]recalled, error) {
	read := map[uint64]recalled{}
	for chunk := range slices.Chunk(refs, 64) {
		ids := make([]any, len(chunk))
		for i, ref := range chunk {
			ids[i] = int64(ref.Msg)
		}
		in := "(?" + strings.Repeat(",?", len(ids)-1) + ")"
		err := j.rows(func(rows *sql.Rows) error {
			m, err := scanLetter(rows.Scan)
			if err == nil {
				read[m.id] = recalled{m: m}
			}
			return err
		}, "SELECT "+letterColumns+" FROM messages WHERE id IN "+in, ids...)
		if err != nil {
			return nil, err
		}
		legs := map[uint64][]loadedLeg{}
		err = j.rows(func(rows *sql.Rows) error {
			var r loadedLeg
			err := r.scan(rows.Scan)
			legs[r.msg] = append(legs[r.msg], r)
			return err
		}, "SELECT "+legColumns+" FROM legs WHERE state = 1 AND msg IN "+in, ids...)
		if err != nil {
			return nil, err
		}
		for id, found := range legs {
			if r, ok := read[id]; ok {
				read[id] = recalled{r.m, found}
			}
		}
	}
	return read, nil
}

// whole makes a message of what was read.
func (j *Journal) whole(row recalled) (*letter, error) {
	for i := range row.legs {
		if _, err := j.join(row.m, &row.legs[i]); err != nil {
			return nil, err
		}
	}
	row.m.born = j.bornAt(row.m.at)
	return row.m, nil
}

// recall gives the message of a dead delivery, from what was read of the file unless memory has it; nil: there is none.
// It stays in memory only if something becomes of it.
func (t *txn) recall(read map[uint64]recalled, id uint64) (*letter, error) {
	j := t.j
	if m := j.letters[id]; m != nil {
		return m, nil
	}
	row, ok := read[id]
	if !ok {
		return nil, nil
	}
	m, err := j.whole(row)
	if err != nil {
		return nil, err
	}
	j.letters[id] = m
	t.undo = append(t.undo, func() { delete(j.letters, id) })
	t.closed = append(t.closed, m) // if nothing is done with it, it leaves memory again
	return m, nil
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

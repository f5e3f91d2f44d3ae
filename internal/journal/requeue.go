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
	return j.changeDead(ctx, "requeue", refs, (*txn).requeue)
}

// Drop gives dead deliveries up for good. They stay counted as dead.
func (j *Journal) Drop(ctx context.Context, refs ...bridge.Ref) error {
	return j.changeDead(ctx, "drop", refs, (*txn).drop)
}

// changeDead reads the messages of dead deliveries back and has the writer do something with them.
func (j *Journal) changeDead(ctx context.Context, what string, refs []bridge.Ref, do func(*txn, *entry, *delivery)) error {
	if len(refs) == 0 {
		return nil
	}
	return j.waitChanged(ctx, what, &changeDeadOp{j: j, refs: refs, do: do, done: make(chan error, 1)})
}

func (j *Journal) waitChanged(ctx context.Context, what string, o *changeDeadOp) error {
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

type changeDeadOp struct {
	j     *Journal
	refs  []bridge.Ref
	do    func(*txn, *entry, *delivery)
	some  bool // those that are not dead any more are passed over
	waits bool // what it does adds to what waits: it ends where there is no room for that
	n     int  // how many were changed
	full  bool
	read  map[uint64]recalled // what the file has of them
	err   error
	done  chan error // capacity 1
}

func (o *changeDeadOp) size() (int, int) { return len(o.refs), 0 }

func (o *changeDeadOp) end(_ *Journal, err error) bool {
	o.done <- errors.Join(o.err, err)
	return false
}

// prepare reads the messages before the writer takes the lock.
func (o *changeDeadOp) prepare() { o.read, o.err = o.j.readDead(o.refs) }

// apply looks at all before it changes any.
func (o *changeDeadOp) apply(t *txn) {
	type pair struct {
		m *entry
		l *delivery
	}
	var found []pair
	seen := map[bridge.Ref]bool{}
	for _, ref := range o.refs {
		if seen[ref] || o.err != nil {
			continue
		}
		seen[ref] = true
		m, err := t.restore(o.read, ref.Msg)
		if err != nil {
			o.err = err
			return
		}
		var d *delivery
		if m != nil {
			d = m.delivery(ref.Delivery)
		}
		switch {
		case d != nil && d.durable.dead:
			found = append(found, pair{m, d})
		case !o.some:
			o.err = fmt.Errorf("delivery %v: %w", ref, ErrUnknown)
		}
	}
	if o.err != nil {
		return
	}
	for _, p := range found {
		if most := t.j.opt.MaxPending; o.waits && most > 0 && t.j.waiting+o.n >= most {
			o.full = true
			return
		}
		o.do(t, p.m, p.l)
		o.n++
	}
}

// recalled is a message with its dead deliveries as the file has them.
type recalled struct {
	m          *entry
	deliveries []loadedDelivery
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
			m, err := scanEntry(rows.Scan)
			if err == nil {
				read[m.id] = recalled{m: m}
			}
			return err
		}, "SELECT "+entryColumns+" FROM messages WHERE id IN "+in, ids...)
		if err != nil {
			return nil, err
		}
		deliveries := map[uint64][]loadedDelivery{}
		err = j.rows(func(rows *sql.Rows) error {
			var r loadedDelivery
			err := r.scan(rows.Scan)
			deliveries[r.msg] = append(deliveries[r.msg], r)
			return err
		}, "SELECT "+deliveryColumns+" FROM legs WHERE state = 1 AND msg IN "+in, ids...)
		if err != nil {
			return nil, err
		}
		for id, found := range deliveries {
			if r, ok := read[id]; ok {
				read[id] = recalled{r.m, found}
			}
		}
	}
	return read, nil
}

// whole makes a message of what was read.
func (j *Journal) whole(row recalled) (*entry, error) {
	for i := range row.deliveries {
		if _, err := j.join(row.m, &row.deliveries[i]); err != nil {
			return nil, err
		}
	}
	row.m.ran = j.ranAt(row.m.at)
	return row.m, nil
}

// restore gives the message of a dead delivery, from what was read of the file unless memory has it; nil: there is none.
// It stays in memory only if something becomes of it.
func (t *txn) restore(read map[uint64]recalled, id uint64) (*entry, error) {
	j := t.j
	if m := j.entries[id]; m != nil {
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
	j.entries[id] = m
	t.undo = append(t.undo, func() { delete(j.entries, id) })
	t.idle = append(t.idle, m) // if nothing is done with it, it leaves memory again
	return m, nil
}

func (t *txn) requeue(m *entry, d *delivery) {
	mb := t.snapshot(m)
	if mb.open == 0 {
		t.count(died, m.origin, mb.reason, -1)
		t.pending[m.origin]++
		t.pinned += int64(m.keys)
		mb.base += answerSlots // new answers, new numbers
		mb.changed, mb.reason = true, ""
		mb.bounced = false
		t.unmarkFailed(m.id)
		t.rememberRequeued(m)
		t.after = append(t.after, func() { t.j.relist(m) })
	}
	mb.open++
	mb.dead--
	t.open[d.lane.side]++
	t.dead.removeDead(m, d)
	b := t.snapshotDelivery(d)
	b.dead = false
	if d.note = nil; d.post != nil {
		d.note = &bridge.Note{Post: d.post}
	}
	t.revived = append(t.revived, d)
	t.after = append(t.after, func() {
		if d.finished() {
			return // closed in the same breath
		}
		d.attempts, d.waited = 0, 0
		t.j.queueDelivery(d)
	})
}

// relist puts a message that is pending again into the lists by age.
func (j *Journal) relist(m *entry) {
	older := func(x *entry) bool { return x.ran <= m.ran }
	j.byAge.insert(m, older)
	if !m.durable.delayed {
		j.undelayed.insert(m, older)
	}
}

// rememberRequeued makes the keys of a message known again, should they have been forgotten since.
func (t *txn) rememberRequeued(m *entry) {
	var packed []byte
	err := t.j.conn.QueryRowContext(context.Background(), "SELECT keys FROM messages WHERE id = ?", int64(m.id)).Scan(&packed)
	if err != nil {
		t.j.logLines.later(t.j.log.Warn().Err(err).Uint64("msg", m.id), "the keys of a requeued message cannot be read")
		return
	}
	for ; len(packed) >= len(message.Key{}); packed = packed[len(message.Key{}):] {
		key := message.Key(packed[:len(message.Key{})])
		if _, ok := t.j.dedup.find(m.origin, key); !ok {
			t.addKey(seenKey{key, m.origin, newDedupEntry(m.id, 0)})
		}
	}
}

func (t *txn) drop(m *entry, d *delivery) {
	mb := t.snapshot(m)
	b := t.snapshotDelivery(d)
	b.dead, b.gone = false, true
	mb.dead--
	mb.dropped++
	mb.changed = true
	t.dead.removeDead(m, d)
	if mb.open == 0 && mb.dead == 0 {
		mb.over = true // nothing of it is left
		t.markIdle(m)
	}
}

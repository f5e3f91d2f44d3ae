package journal

import (
	"cmp"
	"encoding/json"
	"slices"

	"chatrelay/bridge"
)

// write puts the transaction into the file. Nothing is visible to anyone before commit.
func (t *txn) write() error {
	conn, s := t.j.conn, t.j.stmts
	if err := s.begin.one(conn); err != nil {
		return err
	}
	for _, step := range []func() error{
		t.writeEntries, t.writeDeliveries, t.writeBindings, t.writeEnds, t.writeKeys, t.writeState, t.writeSums,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return s.commit.one(conn)
}

func (t *txn) writeEntries() error {
	var args []any
	for _, b := range t.inserted {
		m := b.m
		args = append(args, int64(m.id), m.at, int64(m.origin), int64(m.copies), int64(m.durable.base), m.durable.delayed,
			m.from, orNull(m.reply), m.receipt, orNever(m.expires), b.keys, b.body)
	}
	if err := t.j.stmts.messages.exec(t.j.conn, args); err != nil {
		return err
	}
	for _, s := range t.savedEntries {
		m := s.m
		if _, goes := slices.BinarySearch(t.deletes, m.id); !m.durable.row || !m.durable.changed || goes {
			continue
		}
		err := t.j.stmts.change.one(t.j.conn, int64(m.durable.base), m.durable.delayed, int64(m.durable.dropped), orNull(m.durable.reason), int64(m.id))
		if err != nil {
			return err
		}
	}
	for _, c := range t.cuts {
		if err := t.j.stmts.cut.one(t.j.conn, c.body, int64(c.m.id)); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) writeDeliveries() error {
	var args []any
	for _, d := range t.deliveries {
		if d.durable.gone {
			continue
		}
		m := d.entry
		args = append(args, int64(d.seq), int64(m.id), int64(d.num), int64(d.lane.side), int64(d.kind), d.to, d.lane.name, noteText(d.note))
	}
	if err := t.j.stmts.deliveries.exec(t.j.conn, args); err != nil {
		return err
	}
	for _, s := range t.savedDeliveries {
		if d := s.l; d.durable.dead && !s.before.dead {
			err := t.j.stmts.dead.one(t.j.conn, int64(d.attempts), d.note.Reason, noteText(d.note), int64(d.seq))
			if err != nil {
				return err
			}
		}
	}
	for _, d := range t.revived {
		if d.finished() {
			continue // closed in the same breath
		}
		if err := t.j.stmts.revive.one(t.j.conn, noteText(d.note), int64(d.seq)); err != nil {
			return err
		}
	}
	for _, d := range t.defers {
		if d.l.durable.gone || d.l.durable.dead {
			continue
		}
		if err := t.j.stmts.deferred.one(t.j.conn, d.attempts, d.waited, d.until, d.reason, int64(d.l.seq)); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) writeBindings() error {
	var bound, unbound []any
	var deliveries []*delivery
	for _, s := range t.savedDeliveries {
		h, said := t.bindings[s.l]
		if said {
			deliveries = append(deliveries, s.l)
		}
		if s.before.wired && (!s.l.durable.bound || h.fresh) {
			unbound = append(unbound, int64(s.l.seq)) // bound anew it goes to the end of the order
		}
	}
	slices.SortFunc(deliveries, func(a, b *delivery) int { return cmp.Compare(t.bindings[a].order, t.bindings[b].order) })
	for _, d := range deliveries {
		t.j.lastBinding++
		bound = append(bound, int64(d.seq), int64(t.j.lastBinding), t.bindings[d].data)
	}
	if err := t.j.stmts.deleteBound.exec(t.j.conn, unbound); err != nil {
		return err
	}
	return t.j.stmts.bound.exec(t.j.conn, bound)
}

// writeEnds deletes what is settled.
func (t *txn) writeEnds() error {
	var deliveries, messages []any
	for _, s := range t.savedDeliveries {
		if s.before.row && !s.before.gone && s.l.durable.gone {
			deliveries = append(deliveries, int64(s.l.seq))
		}
	}
	for _, id := range t.deletes {
		messages = append(messages, int64(id))
	}
	if err := t.j.stmts.deleteDeliveries.exec(t.j.conn, deliveries); err != nil {
		return err
	}
	return t.j.stmts.deleteMessages.exec(t.j.conn, messages)
}

func (t *txn) writeKeys() error {
	j := t.j
	gen := int64(j.dedup.current().n)
	if len(t.keys) > 0 {
		if err := j.stmts.seen.exec(j.conn, []any{int64(j.seenRow + 1), gen, j.ran(), pack(t.keys)}); err != nil {
			return err
		}
	}
	var failed, unfailed []any
	for _, msg := range t.unfailed {
		unfailed = append(unfailed, int64(msg))
	}
	for _, f := range t.failed {
		failed = append(failed, int64(f.msg), gen, f.reason)
	}
	if err := j.stmts.deleteFailed.exec(j.conn, unfailed); err != nil {
		return err
	}
	return j.stmts.failed.exec(j.conn, failed)
}

func (t *txn) writeState() error {
	var set []any
	for k, v := range t.state {
		if v != nil {
			set = append(set, int64(k.side), k.key, v)
			continue
		}
		if err := t.j.stmts.deleteState.one(t.j.conn, int64(k.side), k.key); err != nil {
			return err
		}
	}
	return t.j.stmts.state.exec(t.j.conn, set)
}

func (t *txn) writeSums() error {
	if err := t.j.stmts.totals.exec(t.j.conn, t.sortedCounts()); err != nil {
		return err
	}
	for _, b := range t.inserted {
		if b.m.id >= max(t.j.lease, t.lease) {
			t.lease = b.m.id + leaseStep
		}
	}
	if t.lease > 0 {
		t.meta[metaNext] = int64(t.lease)
	}
	for k, v := range t.meta {
		if err := t.j.stmts.meta.exec(t.j.conn, []any{k, v}); err != nil {
			return err
		}
	}
	return nil
}

// leaseStep: so many numbers are covered by one write, and at most so many are skipped by a restart.
const leaseStep = 10_000

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orNever(ran int64) any {
	if ran == 0 {
		return nil
	}
	return ran
}

func noteText(n *bridge.Note) any {
	if n == nil {
		return nil
	}
	b, _ := json.Marshal(n) // a struct of strings and numbers
	return string(b)
}

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
		t.writeLetters, t.writeLegs, t.writeBindings, t.writeEnds, t.writeKeys, t.writeState, t.writeSums,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return s.commit.one(conn)
}

func (t *txn) writeLetters() error {
	var args []any
	for _, b := range t.born {
		m := b.m
		args = append(args, int64(m.id), m.at, int64(m.origin), int64(m.mail), int64(m.book.base), m.book.delayed,
			m.from, orNull(m.reply), m.receipt, b.keys, b.body)
	}
	if err := t.j.stmts.letters.exec(t.j.conn, args); err != nil {
		return err
	}
	for _, s := range t.savedLetters {
		m := s.m
		if _, goes := slices.BinarySearch(t.deletes, m.id); !m.book.row || !m.book.changed || goes {
			continue
		}
		err := t.j.stmts.change.one(t.j.conn, int64(m.book.base), m.book.delayed, int64(m.book.dropped), orNull(m.book.reason), int64(m.id))
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) writeLegs() error {
	var args []any
	for _, l := range t.legs {
		if l.book.gone {
			continue
		}
		m := l.letter
		args = append(args, int64(l.seq), int64(m.id), int64(l.num), int64(l.lane.side), int64(l.kind), l.to, l.lane.name, noteText(l.note))
	}
	if err := t.j.stmts.legs.exec(t.j.conn, args); err != nil {
		return err
	}
	for _, s := range t.savedLegs {
		if l := s.l; l.book.dead && !s.book.dead {
			err := t.j.stmts.dead.one(t.j.conn, int64(l.attempts), l.note.Reason, noteText(l.note), int64(l.seq))
			if err != nil {
				return err
			}
		}
	}
	for _, l := range t.revived {
		if l.finished() {
			continue // closed in the same breath
		}
		if err := t.j.stmts.revive.one(t.j.conn, noteText(l.note), int64(l.seq)); err != nil {
			return err
		}
	}
	for _, d := range t.defers {
		if d.l.book.gone || d.l.book.dead {
			continue
		}
		if err := t.j.stmts.deferred.one(t.j.conn, d.attempts, d.first, d.until, d.reason, int64(d.l.seq)); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) writeBindings() error {
	var bound, unbound []any
	var legs []*leg
	for _, s := range t.savedLegs {
		h, said := t.hows[s.l]
		if said {
			legs = append(legs, s.l)
		}
		if s.book.wired && (!s.l.book.bound || h.fresh) {
			unbound = append(unbound, int64(s.l.seq)) // bound anew it goes to the end of the order
		}
	}
	slices.SortFunc(legs, func(a, b *leg) int { return cmp.Compare(t.hows[a].turn, t.hows[b].turn) })
	for _, l := range legs {
		t.j.ord++
		bound = append(bound, int64(l.seq), int64(t.j.ord), t.hows[l].how)
	}
	if err := t.j.stmts.unbound.exec(t.j.conn, unbound); err != nil {
		return err
	}
	return t.j.stmts.bound.exec(t.j.conn, bound)
}

// writeEnds deletes what is settled.
func (t *txn) writeEnds() error {
	var legs, letters []any
	for _, s := range t.savedLegs {
		if s.book.row && !s.book.gone && s.l.book.gone {
			legs = append(legs, int64(s.l.seq))
		}
	}
	for _, id := range t.deletes {
		letters = append(letters, int64(id))
	}
	if err := t.j.stmts.unleg.exec(t.j.conn, legs); err != nil {
		return err
	}
	return t.j.stmts.unletter.exec(t.j.conn, letters)
}

func (t *txn) writeKeys() error {
	j := t.j
	gen := int64(j.dedup.young().n)
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
	if err := j.stmts.unfailed.exec(j.conn, unfailed); err != nil {
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
		if err := t.j.stmts.unstate.one(t.j.conn, int64(k.side), k.key); err != nil {
			return err
		}
	}
	return t.j.stmts.state.exec(t.j.conn, set)
}

func (t *txn) writeSums() error {
	if err := t.j.stmts.totals.exec(t.j.conn, t.sortedCounts()); err != nil {
		return err
	}
	for _, b := range t.born {
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

func noteText(n *bridge.Note) any {
	if n == nil {
		return nil
	}
	b, _ := json.Marshal(n) // a struct of strings and numbers
	return string(b)
}

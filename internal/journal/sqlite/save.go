package sqlite

import (
	"cmp"
	"slices"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// Save writes what frames have changed, up to the picture's last one, which has a sum, in one transaction.
func (t *Tables) Save(p *picture.Picture, c *picture.Changes, sum uint32) error {
	w := &save{t: t, p: p, c: c, sum: sum}
	if err := w.write(); err != nil {
		_ = run(t.conn, "ROLLBACK") // SQLite may have done so by itself
		return err
	}
	t.tidy = false
	w.saved()
	return nil
}

// Bits of messages.delayed, which was only that before.
const (
	markDelayed = 1 << iota
	markOver
	markBounced
)

func marks(s *picture.Status) (bits int64) {
	for i, on := range []bool{s.Delayed, s.Over, s.Bounced} {
		if on {
			bits |= 1 << i
		}
	}
	return bits
}

// saved notes what the tables have now.
func (w *save) saved() {
	for _, m := range w.c.Taken {
		m.Saved = true
	}
	for _, d := range w.c.Born {
		d.Saved = !d.Gone
	}
	for _, d := range w.c.Deliveries {
		d.Saved = d.Saved && !d.Gone
		d.Wired = d.Order > 0
	}
}

// save is what a frame changes in the tables.
type save struct {
	t *Tables
	p *picture.Picture
	c *picture.Changes

	sum uint32
}

func (w *save) write() error {
	conn, s := w.t.conn, w.t.stmts
	if err := s.begin.one(conn); err != nil {
		return err
	}
	for _, step := range []func() error{
		w.writeMessages, w.writeDeliveries, w.writeBindings, w.writeEnds, w.writeKeys, w.writeState, w.writeSums,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return s.commit.one(conn)
}

func (w *save) writeMessages() error {
	slices.Sort(w.c.Deleted)
	w.c.Deleted = slices.Compact(w.c.Deleted)
	s, conn := w.t.stmts, w.t.conn
	var args []any
	for _, m := range w.c.Taken {
		if w.goes(m.ID) {
			continue // it came and went
		}
		var keys []byte
		for _, k := range m.Keys {
			keys = append(keys, k[:]...)
		}
		args = append(args, int64(m.ID), m.At, int64(m.Origin), int64(m.Copies), int64(m.Base), marks(&m.Status),
			m.From, orNull(m.Reply), m.Receipt, orNever(m.Expires), keys, m.Body)
	}
	if err := s.messages.exec(conn, args); err != nil {
		return err
	}
	for _, m := range w.c.Messages {
		b := m.Before
		same := m.Base == b.Base && marks(&m.Status) == marks(&b) && m.Dropped == b.Dropped && m.Reason == b.Reason
		if same || w.goes(m.ID) {
			continue
		}
		if err := s.change.one(conn, int64(m.Base), marks(&m.Status), int64(m.Dropped), orNull(m.Reason), int64(m.ID)); err != nil {
			return err
		}
	}
	for _, x := range w.c.Cut {
		if err := s.cut.one(conn, x.Body, int64(x.ID)); err != nil {
			return err
		}
	}
	return nil
}

func (w *save) writeDeliveries() error {
	s, conn := w.t.stmts, w.t.conn
	var args []any
	for _, d := range w.c.Born {
		if d.Gone {
			continue
		}
		args = append(args, int64(d.Seq), int64(d.Message.ID), int64(d.Num), int64(d.Side), int64(d.Kind), d.To, d.Lane, orNull(picture.NoteText(d.Note)))
	}
	if err := s.deliveries.exec(conn, args); err != nil {
		return err
	}
	for _, d := range w.c.Deliveries {
		if !d.Dead || d.Before.Dead && d.Before.Note == d.Note {
			continue
		}
		if err := s.dead.one(conn, d.Attempts(), d.Note.Reason, orNull(picture.NoteText(d.Note)), int64(d.Seq)); err != nil {
			return err
		}
	}
	for _, d := range w.c.Reopened {
		if d.Finished() {
			continue // closed in the same breath
		}
		if err := s.revive.one(conn, orNull(picture.NoteText(d.Note)), int64(d.Seq)); err != nil {
			return err
		}
	}
	for _, d := range w.c.PutOff {
		if d.Finished() || d.Put == nil {
			continue
		}
		if err := s.deferred.one(conn, int64(d.Put.Attempts), d.Put.Waited, d.Put.Until, d.Put.Reason, int64(d.Seq)); err != nil {
			return err
		}
	}
	return nil
}

func (w *save) writeBindings() error {
	var bound, unbound []any
	var deliveries []*picture.Delivery
	for _, d := range w.c.Deliveries {
		if d.Wired && d.Order != d.Before.Order {
			unbound = append(unbound, int64(d.Seq)) // bound anew it goes to the end of the order
		}
	}
	for _, d := range w.c.Bound {
		if d.Order > 0 {
			deliveries = append(deliveries, d)
		}
	}
	slices.SortFunc(deliveries, func(a, b *picture.Delivery) int { return cmp.Compare(a.Order, b.Order) })
	for _, d := range slices.Compact(deliveries) {
		bound = append(bound, int64(d.Seq), int64(d.Order), d.Binding)
	}
	if err := w.t.stmts.deleteBound.exec(w.t.conn, unbound); err != nil {
		return err
	}
	return w.t.stmts.bound.exec(w.t.conn, bound)
}

// writeEnds deletes what is settled.
func (w *save) writeEnds() error {
	var deliveries, messages []any
	came := map[uint64]bool{}
	for _, m := range w.c.Taken {
		came[m.ID] = true
	}
	for _, d := range w.c.Deliveries {
		if d.Saved && d.Gone {
			deliveries = append(deliveries, int64(d.Seq))
		}
	}
	for _, id := range w.c.Deleted {
		if !came[id] {
			messages = append(messages, int64(id))
		}
	}
	if err := w.t.stmts.deleteDeliveries.exec(w.t.conn, deliveries); err != nil {
		return err
	}
	return w.t.stmts.deleteMessages.exec(w.t.conn, messages)
}

// goes tells whether a message is deleted.
func (w *save) goes(id uint64) bool {
	_, goes := slices.BinarySearch(w.c.Deleted, id)
	return goes
}

// seenChunk is how many keys a row of seen holds at most.
const seenChunk = 4096

func (w *save) writeKeys() error {
	for _, k := range w.c.Keys {
		if k.Turn != nil {
			if err := w.writeTurn(k); err != nil {
				return err
			}
		}
		for chunk := range slices.Chunk(k.Added, seenChunk) {
			if err := w.writeSeen(k.Generation, k.Ended, chunk); err != nil {
				return err
			}
		}
		if err := w.writeFailed(k); err != nil {
			return err
		}
	}
	return nil
}

// writeTurn writes a new generation of keys, and deletes old ones.
func (w *save) writeTurn(k picture.KeyChanges) error {
	if k.Turn.Dropped > 0 {
		if err := w.t.exec("DELETE FROM seen WHERE gen <= ? AND n <= ?", int64(k.Turn.Dropped), int64(w.t.seenRow)); err != nil {
			return err
		}
		if err := w.t.exec("DELETE FROM failed WHERE gen <= ?", int64(k.Turn.Dropped)); err != nil {
			return err
		}
	}
	// A row even when nothing is carried: it says when the generation was born.
	chunks := slices.Collect(slices.Chunk(k.Turn.Carried, seenChunk))
	if len(chunks) == 0 {
		chunks = [][]picture.SeenKey{nil}
	}
	for _, chunk := range chunks {
		if err := w.writeSeen(k.Generation, k.Ran, chunk); err != nil {
			return err
		}
	}
	return w.writeFailed(picture.KeyChanges{Generation: k.Generation, Failed: k.Turn.Failed})
}

// writeSeen writes a row of keys. What a transaction that failed has numbered is not used again.
func (w *save) writeSeen(generation uint64, ran int64, keys []picture.SeenKey) error {
	w.t.seenRow++
	return w.t.stmts.seen.exec(w.t.conn, []any{int64(w.t.seenRow), int64(generation), ran, pack(keys)})
}

func (w *save) writeFailed(k picture.KeyChanges) error {
	var failed, unfailed []any
	for _, msg := range k.Unfailed {
		unfailed = append(unfailed, int64(msg))
	}
	for _, f := range k.Failed {
		failed = append(failed, int64(f.Msg), int64(k.Generation), f.Reason)
	}
	if err := w.t.stmts.deleteFailed.exec(w.t.conn, unfailed); err != nil {
		return err
	}
	return w.t.stmts.failed.exec(w.t.conn, failed)
}

func (w *save) writeState() error {
	slices.SortFunc(w.c.State, func(a, b picture.StateKey) int { return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Key, b.Key)) })
	w.c.State = slices.Compact(w.c.State)
	var set []any
	row := func(side bridge.SideID, key string, value []byte) error {
		if value != nil {
			set = append(set, int64(side), key, value)
			return nil
		}
		return w.t.stmts.deleteState.one(w.t.conn, int64(side), key)
	}
	for _, k := range w.c.State {
		if err := row(k.Side, k.Key, w.p.State[k]); err != nil {
			return err
		}
	}
	for _, r := range unprovenRows(w.p, w.c) {
		if err := row(0, r.Key, r.Value); err != nil {
			return err
		}
	}
	return w.t.stmts.state.exec(w.t.conn, set)
}

func (w *save) writeSums() error {
	var args []any
	slices.SortFunc(w.c.Counts, compareCounters)
	w.c.Counts = slices.Compact(w.c.Counts)
	for _, c := range w.c.Counts {
		args = append(args, c.Name, int64(c.Side), c.Reason, w.p.Counts[c])
	}
	if err := w.t.stmts.totals.exec(w.t.conn, args); err != nil {
		return err
	}
	if w.c.Lease > 0 {
		if err := w.t.stmts.meta.exec(w.t.conn, []any{metaNext, int64(w.p.Lease)}); err != nil {
			return err
		}
	}
	return w.t.stmts.meta.exec(w.t.conn, []any{metaRan, w.c.Head.Ran, metaLog, int64(w.c.Head.N), metaSum, int64(w.sum), metaRules, rulesOf(w.p.Rules),
		metaSeq, int64(w.p.Seq), metaBound, int64(w.p.Bindings)})
}

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

func compareCounters(a, b bridge.Counter) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Side, b.Side), cmp.Compare(a.Reason, b.Reason))
}

func rulesOf(n picture.Rules) (bits int64) {
	for i, on := range []bool{n.Sent, n.Delayed, n.Failed} {
		if on {
			bits |= 1 << i
		}
	}
	return bits
}

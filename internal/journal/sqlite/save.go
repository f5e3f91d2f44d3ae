package sqlite

import (
	"cmp"
	"slices"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// Gather makes the rows of what frames have changed, up to the picture's last one, which has a sum. By the one who changes the
// picture. From then on its deliveries count as saved: if the batch is not written it is to be undone.
func (t *Tables) Gather(p *picture.Picture, c *picture.Changes, sum uint32) *Batch {
	w := &save{t: t, p: p, c: c, sum: sum, b: &Batch{}, s: t.stmts}
	w.messages()
	w.deliveries()
	w.bindings()
	w.ends()
	w.keys()
	w.state()
	w.sums()
	for _, d := range c.Inserted {
		w.noteRow(d)
	}
	for _, d := range c.Deliveries {
		w.noteRow(d.Delivery)
	}
	return w.b
}

// Bits of messages.delayed, which was only that before.
const (
	bitDelayed = 1 << iota
	bitOver
	bitBounced
)

func statusBits(s *picture.Status) (bits int64) {
	for i, on := range []bool{s.Delayed, s.Over, s.Bounced} {
		if on {
			bits |= 1 << i
		}
	}
	return bits
}

// save is a batch in the making.
type save struct {
	t   *Tables
	s   *statements
	p   *picture.Picture
	c   *picture.Changes
	sum uint32
	b   *Batch
}

// noteRow notes what the tables will have of a delivery.
func (w *save) noteRow(d *picture.Delivery) {
	w.b.rowsBefore = append(w.b.rowsBefore, rowBefore{d, d.Saved, d.Wired})
	d.Saved, d.Wired = !d.Gone, d.Order > 0
}

func (w *save) messages() {
	slices.Sort(w.c.Deleted)
	w.c.Deleted = slices.Compact(w.c.Deleted)
	var args []any
	for _, m := range w.c.Taken {
		if w.goes(m.ID) {
			continue // it came and went
		}
		var keys []byte
		for _, k := range m.Keys {
			keys = append(keys, k[:]...)
		}
		args = append(args, int64(m.ID), m.At, int64(m.Origin), int64(m.Copies), int64(m.Base), statusBits(&m.Status),
			m.From, orNull(m.Reply), m.Receipt, orNever(m.Expires), keys, m.Body)
	}
	w.b.rows(w.s.messages, args)
	for _, m := range w.c.Messages {
		b := m.Before
		same := m.Base == b.Base && statusBits(&m.Status) == statusBits(&b) && m.Dropped == b.Dropped && m.Reason == b.Reason
		if !same && !w.goes(m.ID) {
			w.b.one(w.s.change, int64(m.Base), statusBits(&m.Status), int64(m.Dropped), orNull(m.Reason), int64(m.ID))
		}
	}
	for _, x := range w.c.Cut {
		w.b.one(w.s.cut, x.Body, int64(x.ID))
	}
}

func (w *save) deliveries() {
	var args []any
	for _, d := range w.c.Inserted {
		if !d.Gone {
			args = append(args, int64(d.Seq), int64(d.Message.ID), int64(d.Num), int64(d.Side), int64(d.Kind), d.To, d.Lane, orNull(picture.NoteText(d.Note)))
		}
	}
	w.b.rows(w.s.deliveries, args)
	for _, d := range w.c.Deliveries {
		if d.Dead && !(d.Before.Dead && d.Before.Note == d.Note) {
			w.b.one(w.s.dead, d.Attempts(), d.Note.Reason, orNull(picture.NoteText(d.Note)), int64(d.Seq))
		}
	}
	for _, d := range w.c.Reopened {
		if !d.Finished() { // else closed in the same breath
			w.b.one(w.s.revive, orNull(picture.NoteText(d.Note)), int64(d.Seq))
		}
	}
	for _, d := range w.c.PutOff {
		if !d.Finished() && d.Put != nil {
			w.b.one(w.s.deferred, int64(d.Put.Attempts), d.Put.Waited, d.Put.Until, d.Put.Reason, int64(d.Seq))
		}
	}
}

func (w *save) bindings() {
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
	w.b.rows(w.s.deleteBound, unbound)
	w.b.rows(w.s.bound, bound)
}

// ends deletes what is settled.
func (w *save) ends() {
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
	w.b.rows(w.s.deleteDeliveries, deliveries)
	w.b.rows(w.s.deleteMessages, messages)
}

// goes tells whether a message is deleted.
func (w *save) goes(id uint64) bool {
	_, goes := slices.BinarySearch(w.c.Deleted, id)
	return goes
}

// seenChunk is how many keys a row of seen holds at most.
const seenChunk = 4096

func (w *save) keys() {
	for _, k := range w.c.Keys {
		if k.Rotation != nil {
			w.rotation(k)
		}
		for chunk := range slices.Chunk(k.Added, seenChunk) {
			w.seen(k.Generation, k.Ended, chunk)
		}
		w.failed(k)
	}
}

// turn writes a new generation of keys, and deletes old ones.
func (w *save) rotation(k picture.KeyChanges) {
	if k.Rotation.Dropped > 0 {
		w.b.one(w.s.dropSeen, int64(k.Rotation.Dropped), int64(w.t.seenRow))
		w.b.one(w.s.dropFailed, int64(k.Rotation.Dropped))
	}
	// A row even when nothing is carried: it says when the generation began.
	chunks := slices.Collect(slices.Chunk(k.Rotation.Carried, seenChunk))
	if len(chunks) == 0 {
		chunks = [][]picture.SeenKey{nil}
	}
	for _, chunk := range chunks {
		w.seen(k.Generation, k.Ran, chunk)
	}
	w.failed(picture.KeyChanges{Generation: k.Generation, Failed: k.Rotation.Failed})
}

// seen writes a row of keys. What a batch that failed has numbered is not used again.
func (w *save) seen(generation uint64, ran int64, keys []picture.SeenKey) {
	w.t.seenRow++
	w.b.rows(w.s.seen, []any{int64(w.t.seenRow), int64(generation), ran, pack(keys)})
}

func (w *save) failed(k picture.KeyChanges) {
	var failed, unfailed []any
	for _, msg := range k.Unfailed {
		unfailed = append(unfailed, int64(msg))
	}
	for _, f := range k.Failed {
		failed = append(failed, int64(f.Msg), int64(k.Generation), f.Reason)
	}
	w.b.rows(w.s.deleteFailed, unfailed)
	w.b.rows(w.s.failed, failed)
}

func (w *save) state() {
	slices.SortFunc(w.c.State, func(a, b picture.StateKey) int { return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Key, b.Key)) })
	w.c.State = slices.Compact(w.c.State)
	var set []any
	row := func(side bridge.SideID, key string, value []byte) {
		if value != nil {
			set = append(set, int64(side), key, value)
		} else {
			w.b.one(w.s.deleteState, int64(side), key)
		}
	}
	for _, k := range w.c.State {
		row(k.Side, k.Key, w.p.State[k])
	}
	for _, r := range unprovenRows(w.p, w.c) {
		row(0, r.Key, r.Value)
	}
	w.b.rows(w.s.state, set)
}

func (w *save) sums() {
	var args []any
	slices.SortFunc(w.c.Counts, compareCounters)
	w.c.Counts = slices.Compact(w.c.Counts)
	for _, c := range w.c.Counts {
		args = append(args, c.Name, int64(c.Side), c.Reason, w.p.Counts[c])
	}
	w.b.rows(w.s.totals, args)
	if w.c.Lease > 0 {
		w.b.rows(w.s.meta, []any{metaNext, int64(w.p.Lease)})
	}
	w.b.rows(w.s.meta, []any{metaRan, w.c.Head.Ran, metaLog, int64(w.c.Head.N), metaSum, int64(w.sum), metaRules, rulesOf(w.p.Rules),
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

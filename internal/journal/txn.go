package journal

import (
	"cmp"
	"slices"

	"chatrelay/bridge"
)

// txn is one transaction: what it does to the picture in memory, how that was before, and the difference
// that is to be written. It is filled under Journal.mu, written without, and ended under it.
type txn struct {
	j   *Journal
	n   uint32
	now int64 // ms since the epoch
	ran int64 // running ms

	savedEntries    []savedEntry
	savedDeliveries []savedDelivery
	inserted        []inserted // undo: forget
	cuts            []cutBody
	deliveries      []*delivery // new; undo: forget
	bindings        map[*delivery]binding
	bindOrder       int       // of the last fresh binding
	keys            []seenKey // added
	failed          []failedRow
	unfailed        []uint64
	state           map[stateKey][]byte // nil: removed
	counts          map[bridge.Counter]int64
	pending         [bridge.XMPP + 1]int64
	open            [bridge.XMPP + 1]int64
	pinned          int64
	dead            tally
	unproven        [bridge.XMPP + 1]unprovenChange
	idle            []*entry   // have no open delivery now
	settled         []finished // delivered in this transaction
	deletes         []uint64   // messages whose row goes
	purged          int        // of Journal.done
	defers          []deferred
	revived         []*delivery // Dead letters that are open again
	notes           noteCache
	cancelled       []*delivery // answers that are not sent after all; undo: back into their lane
	meta            map[string]any
	bytes           int64
	lease           uint64
	after           []func()
	about           uint64   // Record.Number of the record that is being taken in
	undo            []func() // newest last
}

// inserted is a new message and what only its row needs.
type inserted struct {
	m    *entry
	keys []byte // for a requeue after the window
	body []byte
}

// cutBody is what goes in the place of a message's body.
type cutBody struct {
	m    *entry
	body []byte
}

type savedEntry struct {
	m      *entry
	before durableEntry
}

type savedDelivery struct {
	l      *delivery
	before durableDelivery
	note   *bridge.Note
}

// binding is a delivery's new one. A fresh one gets a number in the order of binding; another phase of an old one
// keeps its number.
type binding struct {
	data  []byte
	order int
	fresh bool
}

type failedRow struct {
	msg    uint64
	reason string
}

type stateKey struct {
	side bridge.SideID
	key  string
}

func (j *Journal) newTxn() *txn {
	j.tx++
	return &txn{
		j: j, n: j.tx, now: j.nowMS(), ran: j.running(), bindings: map[*delivery]binding{}, state: map[stateKey][]byte{},
		counts: map[bridge.Counter]int64{}, meta: map[string]any{},
	}
}

// snapshot remembers how a message was before this transaction.
func (t *txn) snapshot(m *entry) *durableEntry {
	if m.durable.tx != t.n {
		t.savedEntries = append(t.savedEntries, savedEntry{m, m.durable})
		m.durable.tx, m.durable.changed = t.n, false
	}
	return &m.durable
}

func (t *txn) snapshotDelivery(d *delivery) *durableDelivery {
	if d.durable.tx != t.n {
		t.savedDeliveries = append(t.savedDeliveries, savedDelivery{d, d.durable, d.note})
		d.durable.tx = t.n
	}
	return &d.durable
}

func (t *txn) bind(d *delivery, binding []byte, epoch uint32) {
	b := t.snapshotDelivery(d)
	h := t.bindings[d]
	if !b.bound {
		t.bindOrder++
		h.order, h.fresh = t.bindOrder, true
	}
	h.data = binding
	t.bindings[d] = h
	b.bound, b.epoch = true, epoch
}

func (t *txn) unbind(d *delivery) {
	t.snapshotDelivery(d).bound = false
	delete(t.bindings, d)
}

func (t *txn) count(name string, side bridge.SideID, reason string, n int64) {
	t.counts[bridge.Counter{Name: name, Side: side, Reason: reason}] += n
}

func (t *txn) setState(side bridge.SideID, rows []bridge.StateRow) {
	for _, r := range rows {
		value := r.Value
		if value != nil {
			value = append(make([]byte, 0, len(value)), value...) // the caller's array is its own again
		}
		t.state[stateKey{side, r.Key}] = value
		t.bytes += int64(len(r.Key) + len(r.Value))
	}
}

// addKey adds a key; it must not be known.
func (t *txn) addKey(k seenKey) {
	t.j.dedup.add(k.origin, k.key, k.entry)
	t.keys = append(t.keys, k)
}

// markFailed makes retries of a message answered with failed.
func (t *txn) markFailed(msg uint64, reason string) {
	g := t.j.dedup.current()
	reason = intern(reason) // mostly the same for many
	before, had := g.failed[msg]
	g.failed[msg] = reason
	t.failed = append(t.failed, failedRow{msg, reason})
	t.undo = append(t.undo, func() {
		if delete(g.failed, msg); had {
			g.failed[msg] = before
		}
	})
}

// unmarkFailed takes that back.
func (t *txn) unmarkFailed(msg uint64) {
	for _, g := range t.j.dedup.generations {
		if reason, ok := g.failed[msg]; ok {
			delete(g.failed, msg)
			t.undo = append(t.undo, func() { g.failed[msg] = reason })
		}
	}
	t.failed = slices.DeleteFunc(t.failed, func(f failedRow) bool { return f.msg == msg })
	t.unfailed = append(t.unfailed, msg)
}

// markIdle notes that a message has no open delivery; wrapUp decides what that means once all operations are applied.
func (t *txn) markIdle(m *entry) {
	if m.durable.open == 0 && m.durable.answers == 0 {
		t.idle = append(t.idle, m)
	}
}

// wrapUp decides which rows have had their time.
func (t *txn) wrapUp() {
	for _, m := range t.idle {
		if m.durable.open > 0 || m.durable.answers > 0 {
			continue // an answer was added since
		}
		if t.isOver(m) {
			t.snapshot(m).over = true
			t.deletes = append(t.deletes, m.id)
		}
		t.after = append(t.after, func() { t.j.releaseEntry(m) })
	}
	t.purge()
	t.saveUnproven()
	slices.Sort(t.deletes)
	t.deletes = slices.Compact(t.deletes)
}

// isOver tells whether an idle message's row goes at once: nothing can happen to it any more.
func (t *txn) isOver(m *entry) bool {
	return m.durable.dead == 0 && (m.copies == 0 || m.durable.over)
}

// releaseEntry lets go of what an idle message held in memory.
func (j *Journal) releaseEntry(m *entry) {
	j.uncache(m)
	if m.durable.dead > 0 || m.copies == 0 || m.durable.over {
		delete(j.entries, m.id)
	}
}

// committed makes the transaction visible.
func (t *txn) committed() {
	j := t.j
	if len(t.keys) > 0 {
		j.seenRow++
		g := j.dedup.current()
		g.ended = j.ran()
	}
	for _, b := range t.inserted {
		m := b.m
		m.durable.row = true
		if m.copies > 0 {
			j.undelayed.push(m)
			j.byAge.push(m)
		}
	}
	for _, d := range t.deliveries {
		d.durable.row = !d.durable.gone
		if d.finished() {
			j.removeWaiting(d)
			continue
		}
		j.queueDelivery(d)
	}
	for _, s := range t.savedDeliveries {
		d := s.l
		had := s.before.row && !s.before.gone && !s.before.dead
		switch {
		case had && d.finished():
			j.removeWaiting(d)
		case !had && s.before.row && !d.finished():
			d.lane = j.lane(d.lane.side, d.lane.name) // a dead letter that is open again
			j.addWaiting(d)
		}
		d.durable.row = !d.durable.gone
		d.durable.wired = d.durable.bound
		if d.durable.gone && d.num >= d.entry.copies {
			d.entry.forgetAnswer(d)
		}
	}
	for _, s := range t.savedEntries {
		s.m.durable.changed = false
	}
	for c, n := range t.counts {
		if j.counts[c] += n; j.counts[c] == 0 {
			delete(j.counts, c)
		}
	}
	for side := range t.pending {
		j.pending[side] += t.pending[side]
		j.open[side] += t.open[side]
	}
	j.pinned += t.pinned
	j.dead.n += t.dead.n
	j.dead.bytes += t.dead.bytes
	for _, f := range t.settled {
		j.finished.push(f)
		j.finishedBytes += int64(f.m.size)
	}
	j.finished.drop(t.purged)
	t.commitUnproven()
	j.lease = max(j.lease, t.lease)
	if ran, ok := t.meta[metaRan]; ok {
		j.ranSaved = ran.(int64)
	}
	for _, f := range t.after {
		f()
	}
	j.checkpointed = false
	j.trim()
}

// trim keeps the lists by age from holding on to closed messages behind one that is stuck.
func (j *Journal) trim() {
	for j.byAge.len() > 0 && !j.byAge.at(0).pending() {
		j.byAge.drop(1)
	}
	bound := 2*int(j.pending[bridge.MQTT]+j.pending[bridge.XMPP]) + 4096
	if j.undelayed.len() > bound {
		j.undelayed.retain((*entry).pending)
	}
	if j.byAge.len() > bound {
		j.byAge.retain((*entry).pending)
	}
}

// rollback puts the picture back.
func (t *txn) rollback() {
	j := t.j
	for _, f := range slices.Backward(t.undo) {
		f()
	}
	for _, k := range t.keys {
		j.dedup.remove(k.origin, k.key)
	}
	for _, d := range slices.Backward(t.deliveries) {
		m := d.entry
		if d.num >= m.copies {
			m.deliveries = slices.DeleteFunc(m.deliveries, func(x *delivery) bool { return x == d })
		}
		d.state = settling
		j.removeWaiting(d)
	}
	for _, s := range t.savedDeliveries {
		s.l.durable, s.l.note = s.before, s.note
	}
	for _, s := range t.savedEntries {
		s.m.durable = s.before
	}
	for _, b := range t.inserted {
		j.uncache(b.m)
		delete(j.entries, b.m.id)
	}
	for _, d := range t.cancelled {
		j.queueDelivery(d)
	}
}

// sortedCounts gives the totals that change, with their new values.
func (t *txn) sortedCounts() []any {
	keys := make([]bridge.Counter, 0, len(t.counts))
	for c := range t.counts {
		keys = append(keys, c)
	}
	slices.SortFunc(keys, func(a, b bridge.Counter) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Side, b.Side), cmp.Compare(a.Reason, b.Reason))
	})
	var args []any
	for _, c := range keys {
		args = append(args, c.Name, int64(c.Side), c.Reason, t.j.counts[c]+t.counts[c])
	}
	return args
}

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

	savedLetters []savedLetter
	savedLegs    []savedLeg
	born         []born // undo: forget
	legs         []*leg // new; undo: forget
	hows         map[*leg]binding
	turn         int       // of the last fresh binding
	keys         []seenKey // added
	failed       []failedRow
	unfailed     []uint64
	state        map[stateKey][]byte // nil: removed
	counts       map[bridge.Counter]int64
	pending      [bridge.XMPP + 1]int64
	open         [bridge.XMPP + 1]int64
	pinned       int64
	dead         tally
	unproven     [bridge.XMPP + 1]unprovenChange
	closed       []*letter  // have no open delivery now
	settled      []finished // delivered in this transaction
	deletes      []uint64   // messages whose row goes
	purged       int        // of Journal.done
	defers       []deferred
	revived      []*leg // Dead letters that are open again
	notes        noteMemory
	drops        []*leg // answers that are not sent after all; undo: back into their lane
	meta         map[string]any
	bytes        int64
	lease        uint64
	after        []func()
	undo         []func() // newest last
}

// born is a new message and what only its row needs.
type born struct {
	m    *letter
	keys []byte // for a requeue after the window
	body []byte
}

type savedLetter struct {
	m    *letter
	book letterBook
}

type savedLeg struct {
	l    *leg
	book legBook
	why  *bridge.Note
}

// binding is a delivery's new one. A fresh one gets a number in the order of binding; another phase of an old one
// keeps its number.
type binding struct {
	how   []byte
	turn  int
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
		j: j, n: j.tx, now: j.nowMS(), ran: j.running(), hows: map[*leg]binding{}, state: map[stateKey][]byte{},
		counts: map[bridge.Counter]int64{}, meta: map[string]any{},
	}
}

// touch remembers how a message was before this transaction.
func (t *txn) touch(m *letter) *letterBook {
	if m.book.tx != t.n {
		t.savedLetters = append(t.savedLetters, savedLetter{m, m.book})
		m.book.tx, m.book.changed = t.n, false
	}
	return &m.book
}

func (t *txn) touchLeg(l *leg) *legBook {
	if l.book.tx != t.n {
		t.savedLegs = append(t.savedLegs, savedLeg{l, l.book, l.note})
		l.book.tx = t.n
	}
	return &l.book
}

func (t *txn) bind(l *leg, how []byte, lap uint32) {
	b := t.touchLeg(l)
	h := t.hows[l]
	if !b.bound {
		t.turn++
		h.turn, h.fresh = t.turn, true
	}
	h.how = how
	t.hows[l] = h
	b.bound, b.lap = true, lap
}

func (t *txn) unbind(l *leg) {
	t.touchLeg(l).bound = false
	delete(t.hows, l)
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

// remember adds a key; it must not be known.
func (t *txn) remember(k seenKey) {
	t.j.dedup.add(k.origin, k.key, k.mark)
	t.keys = append(t.keys, k)
}

// fail makes retries of a message answered with failed.
func (t *txn) fail(msg uint64, reason string) {
	g := t.j.dedup.young()
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

// unfail takes that back.
func (t *txn) unfail(msg uint64) {
	for _, g := range t.j.dedup.gens {
		if reason, ok := g.failed[msg]; ok {
			delete(g.failed, msg)
			t.undo = append(t.undo, func() { g.failed[msg] = reason })
		}
	}
	t.failed = slices.DeleteFunc(t.failed, func(f failedRow) bool { return f.msg == msg })
	t.unfailed = append(t.unfailed, msg)
}

// idle notes that a message has no open delivery; wrapUp decides what that means once all operations are applied.
func (t *txn) idle(m *letter) {
	if m.book.open == 0 && m.book.answers == 0 {
		t.closed = append(t.closed, m)
	}
}

// wrapUp decides which rows have had their time.
func (t *txn) wrapUp() {
	for _, m := range t.closed {
		if m.book.open > 0 || m.book.answers > 0 {
			continue // an answer was added since
		}
		if t.ends(m) {
			t.touch(m).over = true
			t.deletes = append(t.deletes, m.id)
		}
		t.after = append(t.after, func() { t.j.rest(m) })
	}
	t.purge()
	t.saveUnproven()
	slices.Sort(t.deletes)
	t.deletes = slices.Compact(t.deletes)
}

// ends tells whether an idle message's row goes at once: nothing can happen to it any more.
func (t *txn) ends(m *letter) bool {
	return m.book.dead == 0 && (m.mail == 0 || m.book.over)
}

// rest lets go of what an idle message held in memory.
func (j *Journal) rest(m *letter) {
	j.uncache(m)
	if m.book.dead > 0 || m.mail == 0 || m.book.over {
		delete(j.letters, m.id)
	}
}

// committed makes the transaction visible.
func (t *txn) committed() {
	j := t.j
	if len(t.keys) > 0 {
		j.seenRow++
		g := j.dedup.young()
		g.ended = j.ran()
	}
	for _, b := range t.born {
		m := b.m
		m.book.row = true
		if m.mail > 0 {
			j.young.push(m)
			j.oldest.push(m)
		}
	}
	for _, l := range t.legs {
		l.book.row = !l.book.gone
		if l.finished() {
			j.unhold(l)
			continue
		}
		j.queueUp(l)
	}
	for _, s := range t.savedLegs {
		l := s.l
		had := s.book.row && !s.book.gone && !s.book.dead
		switch {
		case had && l.finished():
			j.unhold(l)
		case !had && s.book.row && !l.finished():
			l.lane = j.lane(l.lane.side, l.lane.name) // a dead letter that is open again
			j.hold(l)
		}
		l.book.row = !l.book.gone
		l.book.wired = l.book.bound
		if l.book.gone && l.num >= l.letter.mail {
			l.letter.forget(l)
		}
	}
	for _, s := range t.savedLetters {
		s.m.book.changed = false
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
		j.done.push(f)
		j.kept += int64(f.m.size)
	}
	j.done.drop(t.purged)
	t.commitUnproven()
	j.lease = max(j.lease, t.lease)
	if ran, ok := t.meta[metaRan]; ok {
		j.ranSaved = ran.(int64)
	}
	for _, f := range t.after {
		f()
	}
	j.folded = false
	j.trim()
}

// trim keeps the lists by age from holding on to closed messages behind one that is stuck.
func (j *Journal) trim() {
	for j.oldest.len() > 0 && !j.oldest.at(0).pending() {
		j.oldest.drop(1)
	}
	bound := 2*int(j.pending[bridge.MQTT]+j.pending[bridge.XMPP]) + 4096
	if j.young.len() > bound {
		j.young.keep((*letter).pending)
	}
	if j.oldest.len() > bound {
		j.oldest.keep((*letter).pending)
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
	for _, l := range slices.Backward(t.legs) {
		m := l.letter
		if l.num >= m.mail {
			m.legs = slices.DeleteFunc(m.legs, func(x *leg) bool { return x == l })
		}
		l.stand = closing
		j.unhold(l)
	}
	for _, s := range t.savedLegs {
		s.l.book, s.l.note = s.book, s.why
	}
	for _, s := range t.savedLetters {
		s.m.book = s.book
	}
	for _, b := range t.born {
		j.uncache(b.m)
		delete(j.letters, b.m.id)
	}
	for _, l := range t.drops {
		j.queueUp(l)
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

package sm

// inbox counts inbound stanzas. What the server may forget (durable) trails what is done, which trails
// what was read.
type inbox struct {
	finished uint64          // read to their ends
	handed   uint64          // given to the handler, or needing none; repeats up to here are skipped
	doneTo   uint64          // all up to here are done
	done     map[uint64]bool // done beyond that
	durable  uint64          // all up to here are done and saved: the highest <a h>
	saving   uint64          // asked of the journal and not committed; 0: none
	ticket   uint64          // of saving
}

func newInbox(h uint64) inbox {
	return inbox{finished: h, handed: h, doneTo: h, durable: h, done: map[uint64]bool{}}
}

// settle notes that stanza n is done. A stanza that is not read to its end counts only then.
func (b *inbox) settle(n uint64) {
	if n > b.doneTo && n <= b.handed {
		b.done[n] = true
		b.advance()
	}
}

func (b *inbox) advance() {
	for b.doneTo < b.finished && b.done[b.doneTo+1] {
		b.doneTo++
		delete(b.done, b.doneTo)
	}
}

// finish notes that stanza n was read to its end.
func (b *inbox) finish(n uint64) {
	b.finished = max(b.finished, n)
	b.advance()
}

// bypass notes that n was read by somebody else than the handler (an answer that mellium waited for).
func (b *inbox) bypass(n uint64) {
	for b.handed < n {
		b.handed++
		b.done[b.handed] = true
	}
	b.advance()
}

// rewind makes stanza n, which is beyond doneTo, and all behind it be handed over again.
func (b *inbox) rewind(n uint64) {
	for m := n; m <= b.handed; m++ {
		delete(b.done, m)
	}
	b.handed, b.finished = min(b.handed, n-1), min(b.finished, n-1)
}

// saved notes that the owner committed h=n with stanza n.
func (b *inbox) saved(n uint64) {
	b.durable = max(b.durable, n)
	b.settle(n)
}

// ackable is the highest h that may be told to the server: a higher one than was saved would, after a
// restart, make us resume with less than it has forgotten, which servers refuse.
func (b *inbox) ackable() uint64 { return min(b.doneTo, b.durable) }

// wantsSave tells whether h must be saved on its own: stanzas without a record stand at the end, nothing
// is in work that might carry it, and no older save is under way.
func (b *inbox) wantsSave() bool {
	return b.doneTo > b.durable && b.doneTo == b.handed && b.saving == 0
}

// committed notes how far the journal is.
func (b *inbox) committed(ticket uint64) {
	if b.saving != 0 && b.ticket <= ticket {
		b.durable = max(b.durable, b.saving)
		b.saving = 0
	}
}

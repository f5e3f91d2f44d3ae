package journal

import (
	"context"
	"slices"

	"chatrelay/bridge"
)

const (
	bounceFor   = 3_600_000 // ms: finished messages stay so long for bounces
	keptRows    = 20_000    // and at most so many
	keptPart    = 8         // and at most this part of the limit
	purgeChunk  = 2048      // rows that go with one commit
	purgeLeast  = 256       // fewer wait for an idle moment
	reopenPart  = 80        // percent: below this the journal takes again
	reservePart = 8         // of the limit, above it, is for answers
	vacuumPages = 256       // given back in one idle slice
)

// space is how full the file is. Guarded by Journal.mu.
type space struct {
	used    int64 // measured
	grown   int64 // estimate of what came since
	commits int   // since it was measured
	free    int64 // pages
	full    bool  // of bytes
	crowded bool  // full of deliveries (pending.go)
}

// isFull tells whether there is no room for one more message. Bindings and closes, with the notices they make,
// are not asked: they are what drains the journal, and they are small.
func (t *txn) isFull(r *bridge.Record) bool {
	s := &t.j.space
	if !s.full && s.used+s.grown+t.bytes+int64(len(r.Body)) >= t.j.opt.MaxBytes {
		s.full = true
	}
	if !s.crowded && t.j.crowds(len(r.Deliveries)) {
		s.crowded = true
	}
	return s.full || s.crowded
}

// overflows tells whether a record's answers would go beyond the reserve. They carry the body of a message that
// nobody paid for (refused, or a retry), so a flood of them must end somewhere.
func (t *txn) overflows(r *bridge.Record, answers int) bool {
	s, limit := &t.j.space, t.j.opt.MaxBytes
	return s.used+s.grown+t.bytes+int64(len(r.Body)) >= limit+limit/reservePart || t.j.crowdsReserve(answers)
}

// accountSpace keeps the account of the file's size: used pages, not the file's length, which only shrinks slowly.
// Under Journal.mu; it asks SQLite for two numbers that it has in memory.
func (j *Journal) accountSpace(t *txn) error {
	s := &j.space
	s.grown += t.bytes
	s.commits++
	j.uncrowd()
	j.shedDead()
	defer j.logFull()
	if s.grown < min(256<<10, j.opt.MaxBytes/64) && s.commits < 256 && !s.full {
		return nil
	}
	if err := j.measure(); err != nil && !temporary(err) {
		return err
	}
	return nil
}

func (j *Journal) measure() error {
	s := &j.space
	pages, err := pragma(j.conn, "page_count")
	if err != nil {
		return err
	}
	if s.free, err = pragma(j.conn, "freelist_count"); err != nil {
		return err
	}
	s.used, s.grown, s.commits = (pages-s.free)*j.pageSize, 0, 0
	switch {
	case s.used >= j.opt.MaxBytes:
		s.full = true
	case s.used < j.opt.MaxBytes/100*reopenPart:
		s.full = false
	}
	return nil
}

// logFull logs when it starts and when it ends.
func (j *Journal) logFull() {
	if full := j.space.full || j.space.crowded; full != j.fullWarned {
		j.fullWarned = full
		e, text := j.log.Info(), "journal has room again"
		if full {
			e, text = j.log.Error(), "journal full: new messages are refused"
		}
		j.logLines.later(e.Int64("bytes", j.space.used).Int64("limit", j.opt.MaxBytes).
			Int("deliveries", j.waiting).Int("max_pending", j.opt.MaxPending), text)
	}
	j.logShed()
	if warn := j.dead.bytes > j.opt.MaxBytes/deadShare/2; warn != j.deadWarned {
		if j.deadWarned = warn; warn {
			j.logLines.later(j.log.Error().Int64("dead", j.dead.n).Int64("bytes", j.dead.bytes).Int64("limit", j.opt.MaxBytes),
				"dead letters fill more than half of their quarter of the journal; beyond it the oldest are put away: look at them, requeue or drop them")
		}
	}
}

// purge lets finished messages go, oldest first, whose time or room is over.
func (t *txn) purge() {
	j := t.j
	due := 0
	var freed int64
	for due < j.finished.len() && due < purgeChunk {
		f := j.finished.at(due)
		if t.ran-f.at < bounceFor && j.finished.len()-due <= keptRows && j.finishedBytes-freed <= j.opt.MaxBytes/keptPart && !j.space.full {
			break
		}
		if f.m.durable.unproven > 0 {
			break // it may have to be bounced yet
		}
		freed += int64(f.m.size)
		due++
	}
	if due < purgeLeast && !j.idle && !j.space.full {
		return
	}
	var gone []*entry
	for i := range due {
		m := j.finished.at(i).m
		t.snapshot(m).over = true
		if m.durable.open == 0 && m.durable.answers == 0 {
			t.deletes = append(t.deletes, m.id)
			gone = append(gone, m)
		}
	}
	t.purged = due
	t.after = append(t.after, func() {
		j.finishedBytes -= freed
		for _, m := range gone {
			j.releaseEntry(m)
		}
	})
}

// tick is the writer's idle moment: trouble is tried again, old keys and rows go, the log is folded in, free
// pages are given back.
func (j *Journal) tick() error {
	if j.writeErr != nil {
		return j.recover()
	}
	if err := j.rotate(); err != nil {
		return j.failed(nil, err)
	}
	if j.ran()-j.ranSaved >= saveEvery.Milliseconds() {
		if err := j.saveRan(); err != nil {
			return j.failed(nil, err)
		}
	}
	if err := j.sweep(); err != nil {
		return j.failed(nil, err)
	}
	return nil
}

// sweep purges a chunk and gives a slice of free pages back, if there is any of either.
func (j *Journal) sweep() error {
	if t, some := j.planSweep(); some {
		if err := t.write(); err != nil {
			j.abandon()
			j.undo(t)
			return err
		}
		j.mu.Lock()
		t.committed()
		err := j.measure()
		j.logFull()
		j.mu.Unlock()
		if err != nil {
			return err
		}
		j.checkpointed = false
	}
	return j.checkpoint()
}

func (j *Journal) planSweep() (*txn, bool) {
	t := j.newTxn()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.idle = true
	t.purge()
	j.idle = false
	slices.Sort(t.deletes)
	return t, t.purged > 0
}

// checkpoint moves the log into the file, so that little hangs on it, and shrinks the file.
func (j *Journal) checkpoint() error {
	if j.folder.dir == "" || j.checkpointed {
		return nil
	}
	if err := j.vacuum(); err != nil && !temporary(err) {
		return err // but without room for it the file is good as it is
	}
	return nil
}

func (j *Journal) vacuum() error {
	j.mu.Lock()
	spare := j.space.free
	j.mu.Unlock()
	if spare > 4*vacuumPages {
		if err := j.exec("PRAGMA incremental_vacuum(256)"); err != nil {
			return err
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		defer j.logFull()
		return j.measure()
	}
	j.checkpointed = true
	return j.exec("PRAGMA wal_checkpoint(PASSIVE)")
}

func (j *Journal) exec(query string, args ...any) error {
	_, err := j.conn.ExecContext(context.Background(), query, args...)
	return err
}

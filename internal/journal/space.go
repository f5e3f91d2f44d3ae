package journal

import (
	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
)

const (
	bounceFor   = 3_600_000 // ms: finished messages stay so long for bounces
	keptRows    = 20_000    // and at most so many
	keptPart    = 8         // and at most this part of the limit
	purgeChunk  = 2048      // rows that go with one commit
	purgeLeast  = 256       // fewer wait for an idle moment
	reopenPart  = 80        // percent: below this the journal takes again
	reservePart = 8         // of the limit, above it, is for answers

	rowsOfFrames = 2 // what is in the log alone takes at most so many times its size once the tables have it, too
)

// space is how full the file is. Guarded by Journal.mu.
type space struct {
	used    int64 // measured, and what the tables will take of what is in the log alone
	tables  int64 // of that
	grown   int64 // estimate of what came since
	commits int   // since it was measured
	free    int64 // pages
	full    bool  // of bytes
	crowded bool  // full of deliveries (pending.go)
}

// isFull tells whether there is no room for one more message. Bindings and closes, with the notices they make,
// are not asked: they are what drains the journal, and they are small.
func (d *decision) isFull(r *bridge.Record) bool {
	s := &d.j.space
	if !s.full && d.usedWith(r) >= d.j.opt.MaxBytes {
		s.full = true
	}
	if !s.crowded && d.crowds(len(r.Deliveries)) {
		s.crowded = true
	}
	return s.full || s.crowded
}

// overflows tells whether a record's answers would go beyond the reserve. They carry the body of a message that
// nobody paid for (refused, or a retry), so a flood of them must end somewhere.
func (d *decision) overflows(r *bridge.Record, answers int) bool {
	limit := d.j.opt.MaxBytes
	return d.usedWith(r) >= limit+limit/reservePart || d.j.crowdsReserve(d.waiting+answers)
}

// usedWith is how much is used once a record is in the log, and then in the tables.
func (d *decision) usedWith(r *bridge.Record) int64 {
	return d.j.space.used + d.j.space.grown + (1+rowsOfFrames)*(d.bytes+int64(len(r.Body)))
}

// accountSpace keeps the account of the files' size: used pages, not a file's length, which only shrinks slowly.
// Under Journal.mu; it asks SQLite for two numbers that it has in memory.
func (j *Journal) accountSpace(bytes int) error {
	s := &j.space
	s.grown += (1 + rowsOfFrames) * int64(bytes)
	s.commits++
	j.uncrowd()
	j.shedDead()
	defer j.logFull()
	if s.grown < min(256<<10, j.opt.MaxBytes/64) && s.commits < 256 && !s.full {
		return nil
	}
	if err := j.measure(); err != nil && !sqlite.Temporary(err) {
		return err
	}
	return nil
}

func (j *Journal) measure() error {
	s := &j.space
	if j.unsaved.saving == nil { // else they are in use, and soon asked again
		tables, free, err := j.tables.Used()
		if err != nil {
			return err
		}
		s.tables, s.free = tables, free
	}
	logged, err := j.frames.Room()
	if err != nil {
		return err
	}
	s.used, s.grown, s.commits = s.tables+logged+rowsOfFrames*j.unsaved.behind(), 0, 0
	switch {
	case s.used >= j.opt.MaxBytes, j.unsaved.behind() >= behindMost*j.opt.checkpointBytes():
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
	if warn := j.pic.Dead.Bytes > j.opt.MaxBytes/deadShare/2; warn != j.shed.warned {
		if j.shed.warned = warn; warn {
			j.logLines.later(j.log.Error().Int64("dead", j.pic.Dead.N).Int64("bytes", j.pic.Dead.Bytes).Int64("limit", j.opt.MaxBytes),
				"dead letters fill more than half of their quarter of the journal; beyond it the oldest are put away: look at them, requeue or drop them")
		}
	}
}

// forget lets delivered messages go, oldest first, whose time or room is over. Few wait for an idle moment.
func (d *decision) forget(idle bool) {
	j := d.j
	list := &j.pic.Finished
	var due []uint64
	var freed int64
	for len(due) < min(list.Len(), purgeChunk) {
		f := list.At(len(due))
		if d.head.Ran-f.At < bounceFor && list.Len()-len(due) <= keptRows && j.pic.FinishedBytes-freed <= j.opt.MaxBytes/keptPart && !j.space.full {
			break
		}
		if f.Message.Unproven > 0 {
			break // it may have to be bounced yet
		}
		freed += f.Message.BodySize()
		due = append(due, f.Message.ID)
	}
	if len(due) > 0 && (len(due) >= purgeLeast || idle || j.space.full) {
		d.add(&picture.Forgot{Messages: due})
	}
}

// tick is the writer's idle moment: trouble is tried again, old keys and rows go, the log is checkpointed, free
// pages are given back.
func (j *Journal) tick() error {
	if j.writeErr != nil {
		return j.recover()
	}
	if err := j.rotate(); err != nil {
		return j.failed(nil, err)
	}
	if j.ran()-j.pic.Head.Ran >= saveEvery.Milliseconds() {
		if err := j.saveRunning(); err != nil {
			return j.failed(nil, err)
		}
	}
	if err := j.sweep(); err != nil {
		return j.failed(nil, err)
	}
	return nil
}

// saveRunning keeps the running time, so that the window goes on after a restart: any frame has it.
func (j *Journal) saveRunning() error {
	j.mu.Lock()
	d := j.newDecision()
	d.add(&picture.Lease{Next: j.pic.Lease})
	j.mu.Unlock()
	return j.commitAlone(d)
}

// sweep forgets a chunk and gives a slice of free pages back, if there is any of either.
func (j *Journal) sweep() error {
	j.mu.Lock()
	d := j.newDecision()
	d.forget(true)
	j.mu.Unlock()
	if len(d.facts) > 0 {
		if err := j.commitAlone(d); err != nil {
			return err
		}
		j.mu.Lock()
		err := j.measure()
		j.logFull()
		j.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if err := j.checkpoint(false); err != nil {
		return err
	}
	return j.vacuum()
}

// vacuum has the file checkpointed and shrunk. Without room for it the file is good as it is.
func (j *Journal) vacuum() error {
	j.mu.Lock()
	free := j.space.free
	j.mu.Unlock()
	if err := j.frames.Vacuum(); err != nil && !sqlite.Temporary(err) {
		return err
	}
	if j.unsaved.saving != nil {
		return nil // they are being written
	}
	shrunk, err := j.tables.Vacuum(free)
	if sqlite.Temporary(err) {
		return nil
	}
	if err != nil || !shrunk {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.logFull()
	return j.measure()
}

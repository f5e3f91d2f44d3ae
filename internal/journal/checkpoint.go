package journal

import (
	"errors"
	"time"

	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
)

// A checkpoint has the tables follow the log: what was taken and settled since the last one never becomes a row.
const (
	checkpointEvery = 5_000   // ms
	checkpointBytes = 8 << 20 // of frames
	checkpointFull  = 100     // ms, where the journal is full and there is something to let go
	checkpointPart  = 8       // at most this part of the limit
	behindMost      = 4       // so many times that much, and the journal is full: what waits to be written is in memory
	checkpointMost  = 8192    // messages taken or forgotten
)

// unsaved is what the tables do not have yet. Guarded by Journal.mu; the writer alone changes it.
type unsaved struct {
	part             // not yet gathered
	saving *saving   // is being written; nil: nothing is
	to     uint64    // the frame up to which the tables know all
	notNow int64     // running ms: they could not be written to; it is not tried again before
	broken error     // nor ever
	warned time.Time // that was said; zero: it was not
}

// part is what some frames in a row have changed.
type part struct {
	changes *picture.Changes // nil: nothing
	bytes   int64            // of frames
	sum     uint32           // of the last of them
	since   int64            // running ms of the first of them
	kept    int              // Len of changes when they were made compact
}

// saving is a part that is being written to the tables, beside the writer.
type saving struct {
	part
	batch *sqlite.Batch
	done  chan error // capacity 1
}

// checkpointBytes is how many bytes of frames the tables may be behind.
func (o *Options) checkpointBytes() int64 { return min(checkpointBytes, o.MaxBytes/checkpointPart) }

// behind is how many bytes of frames they are.
func (u *unsaved) behind() int64 {
	if u.saving == nil {
		return u.bytes
	}
	return u.bytes + u.saving.bytes
}

// add notes what a frame has changed.
func (u *part) add(c *picture.Changes, bytes int, sum uint32) {
	if u.changes == nil {
		u.changes, u.since = &picture.Changes{}, c.Head.Ran
	}
	u.changes.Add(c)
	u.bytes, u.sum = u.bytes+int64(bytes), sum
	if n := u.changes.Len(); n > 2*u.kept+compactLeast { // only while the tables cannot be written to
		u.changes.Compact()
		u.kept = u.changes.Len()
	}
}

// compactLeast is less than a checkpoint leaves alone.
const compactLeast = 8 * checkpointMost

// due tells whether it is time for a checkpoint.
func (u *unsaved) due(ran, bytes int64, full bool) bool {
	if u.changes == nil || ran < u.notNow {
		return false
	}
	taken, deleted := len(u.changes.Taken), len(u.changes.Deleted)
	return ran-u.since >= checkpointEvery || u.bytes >= bytes || taken+deleted >= checkpointMost ||
		full && (deleted >= checkpointMost/128 || deleted > 0 && ran-u.since >= checkpointFull) // which makes room
}

// errBehind answers those who need tables that know all.
var errBehind = errors.New("the tables cannot be written to for now")

// checkpoint has the tables follow the log when it is time, beside the writer; now: at once, and waits. A full journal waits, too, for
// what makes room: but not for one that was begun before. Without room they stay behind, and nothing is lost. By the writer. An error ends the process.
func (j *Journal) checkpoint(now bool) error {
	wait := now || j.space.full || j.opt.inMemory() // in memory there is one connection for all
	if err := j.collect(now || j.opt.inMemory()); err != nil {
		return err
	}
	u := &j.unsaved
	if u.broken != nil || u.saving != nil || u.changes == nil || !now && !u.due(j.ran(), j.opt.checkpointBytes(), j.space.full) {
		return u.broken
	}
	s := &saving{part: u.part, batch: j.tables.Gather(j.pic, u.changes, u.sum), done: make(chan error, 1)}
	j.mu.Lock()
	u.part, u.saving = part{}, s
	j.mu.Unlock()
	if wait {
		s.done <- j.tables.Write(s.batch)
		return j.collect(true)
	}
	go func() { // run waits for it
		s.done <- j.tables.Write(s.batch)
		j.wakeup.Set()
	}()
	return nil
}

// collect sees to what became of the part that is being written; wait: once that is known. By the writer.
func (j *Journal) collect(wait bool) error {
	s := j.unsaved.saving
	if s == nil {
		return nil
	}
	var err error
	if wait {
		err = <-s.done
	} else {
		select {
		case err = <-s.done:
		default:
			return nil
		}
	}
	if sqlite.Temporary(err) && j.tables.Has(s.changes.Head.N) {
		err = nil // whatever SQLite says: what is there is written
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	u := &j.unsaved
	u.saving = nil
	switch {
	case err == nil:
		if !u.warned.IsZero() {
			j.logLines.later(j.log.Info(), "the tables of the journal are up to date again")
		}
		u.to, u.notNow, u.warned = s.changes.Head.N, 0, time.Time{}
		j.frames.Cut(u.to)
	case sqlite.Temporary(err):
		s.batch.Undo()
		u.back(s.part)
		u.notNow = j.ran() + retryMost.Milliseconds()
		if now := j.opt.Clock(); u.warned.IsZero() || now.Sub(u.warned) >= warnEvery {
			u.warned = now
			j.logLines.later(j.log.Warn().Err(err).Int64("behind", u.bytes), "the tables of the journal cannot be brought up to date for now: the log goes on")
		}
	default:
		u.broken = err
		return err
	}
	defer j.logFull()
	if err := j.measure(); err != nil && !sqlite.Temporary(err) {
		return err
	}
	return nil
}

// back puts a part that was not written in front of what came since.
func (u *part) back(p part) {
	if u.changes != nil {
		p.changes.Add(u.changes)
		p.bytes, p.sum = p.bytes+u.bytes, u.sum
	}
	*u = p
}

// upToDate has the tables know all that was committed. By the writer.
func upToDate(j *Journal) error {
	if err := j.checkpoint(true); err != nil {
		return err
	}
	if j.unsaved.changes != nil {
		return errBehind
	}
	return nil
}

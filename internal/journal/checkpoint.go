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
	checkpointBytes = 4 << 20 // of frames
	checkpointFull  = 100     // ms, where the journal is full and there is something to let go
	checkpointPart  = 8       // at most this part of the limit
	behindMost      = 4       // so many times that much, and the journal is full: what waits to be written is in memory
	checkpointMost  = 512     // messages taken or forgotten: a commit waits while they are written
)

// unsaved is what the tables have not been told. Guarded by Journal.mu.
type unsaved struct {
	changes *picture.Changes // nil: nothing
	bytes   int64            // of frames
	sum     uint32           // of the last of them
	since   int64            // running ms of the first of them
	kept    int              // Len of changes when they were made compact
	to      uint64           // the frame up to which the tables know all
	notNow  int64            // running ms: they could not be written to; it is not tried again before
	broken  error            // nor ever
	warned  time.Time        // that was said; zero: it was not
}

// checkpointBytesOf is how many bytes of frames the tables may be behind.
func (o *Options) checkpointBytes() int64 { return min(checkpointBytes, o.MaxBytes/checkpointPart) }

// add notes what a frame has changed.
func (u *unsaved) add(c *picture.Changes, bytes int, sum uint32) {
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
const compactLeast = 32 * checkpointMost

// due tells whether it is time for a checkpoint.
func (u *unsaved) due(ran, bytes int64, full bool) bool {
	if u.changes == nil || ran < u.notNow {
		return false
	}
	taken, deleted := len(u.changes.Taken), len(u.changes.Deleted)
	return ran-u.since >= checkpointEvery || u.bytes >= bytes || taken+deleted >= checkpointMost ||
		full && (deleted >= checkpointMost/8 || deleted > 0 && ran-u.since >= checkpointFull) // which makes room
}

// errBehind answers those who need tables that know all.
var errBehind = errors.New("the tables cannot be written to for now")

// checkpoint has the tables follow the log when it is time; now: at once. Without room for that they stay behind, and nothing
// is lost. By the writer. An error ends the process.
func (j *Journal) checkpoint(now bool) error {
	u := &j.unsaved
	if u.broken != nil || u.changes == nil || !now && !u.due(j.ran(), j.opt.checkpointBytes(), j.space.full) {
		return u.broken
	}
	c := u.changes
	err := j.tables.Save(j.pic, c, u.sum)
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case err == nil:
		if !u.warned.IsZero() {
			j.logLines.later(j.log.Info(), "the tables of the journal are up to date again")
		}
		j.unsaved = unsaved{to: c.Head.N}
		j.frames.Cut(c.Head.N)
	case sqlite.Temporary(err):
		u.notNow = j.ran() + retryMost.Milliseconds()
		if now := j.opt.Clock(); u.warned.IsZero() || now.Sub(u.warned) >= warnAgain {
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

// upToDate has the tables know all that was committed. By the writer.
func (j *Journal) upToDate() error {
	if err := j.checkpoint(true); err != nil {
		return err
	}
	if j.unsaved.changes != nil {
		return errBehind
	}
	return nil
}

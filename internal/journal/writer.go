package journal

import (
	"errors"
	"fmt"
	"time"

	sqlite "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

const (
	idleEvery = time.Second // housekeeping when nothing else is to be done
	saveEvery = time.Minute // running time
)

// write is the writer: it alone changes the file. It ends when Shut was called and the queue is empty, or
// with an error that ends the process.
func (j *Journal) write() {
	defer close(j.ended)
	defer j.speak()
	tick := time.NewTimer(idleEvery)
	defer tick.Stop()
	wait, hurry := idleEvery, false
	for {
		if err := j.step(j.takeBatch()); err != nil {
			j.die(err)
			return
		}
		j.speak()
		idle, over := j.pause()
		if over {
			j.settleLast()
			return
		}
		if !idle {
			continue
		}
		// Only when trouble begins or ends: the bell must not put off the next try for ever.
		if hurry != (j.trouble != nil) {
			hurry, wait = !hurry, idleEvery
			if hurry {
				wait = retryFirst
			}
			tick.Reset(wait)
		}
		select {
		case <-j.bell:
			continue
		case <-tick.C:
		}
		if err := j.tick(); err != nil {
			j.die(err)
			return
		}
		j.speak()
		if hurry {
			wait = min(wait*2, retryMost)
		}
		tick.Reset(wait)
	}
}

// step commits a batch, as far as that is possible now.
func (j *Journal) step(batch []op) error {
	if batch = j.sift(batch); len(batch) == 0 {
		return nil
	}
	return j.commit(batch)
}

// pause tells whether there is nothing in the queue, and whether that is for good: from then on nothing gets
// in, or it would never be answered.
func (j *Journal) pause() (idle, over bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.busy = false
	if len(j.queue) > 0 {
		return false, false
	}
	if j.stopping {
		j.broken = errShut
	}
	return true, j.stopping
}

// commit writes operations in one transaction and answers them. An error ends the process.
func (j *Journal) commit(batch []op) error {
	// A new generation may need more room than there is for what is in hand: it can wait, a close cannot.
	if j.trouble == nil {
		if err := j.rotate(); err != nil && !passing(err) {
			return j.failed(batch, err)
		}
	}
	for _, o := range batch {
		if p, ok := o.(prepared); ok {
			p.prepare()
		}
	}
	t := j.plan(batch)
	if j.ran()-j.ranSaved >= saveEvery.Milliseconds() {
		t.meta[metaRan] = j.ran()
	}
	if err := t.write(); err != nil {
		j.abandon()
		j.undo(t)
		return j.failed(batch, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	t.committed()
	for _, o := range batch {
		o.end(j, nil)
	}
	j.told(batch, nil)
	return j.measure(t)
}

// plan applies operations to the picture.
func (j *Journal) plan(batch []op) *txn {
	t := j.newTxn()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range batch {
		o.apply(t)
	}
	t.wrapUp()
	return t
}

func (j *Journal) undo(t *txn) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t.rollback()
}

// abandon ends a transaction that failed. SQLite may have done so by itself.
func (j *Journal) abandon() {
	if err := j.stmts.rollback.one(j.conn); err != nil {
		j.log.Debug().Err(err).Msg("rollback")
	}
}

// told answers those who wait for tickets, and lets them look.
func (j *Journal) told(batch []op, err error) {
	for _, o := range batch {
		if n, ok := o.(numbered); ok {
			j.resolve(n.number(), err)
		}
	}
	if j.asked {
		j.asked = false
		close(j.waiting)
		j.waiting = make(chan struct{})
	}
}

// full tells a disk without room from a broken one. The shared-memory file of the log grows by itself, and
// SQLite gives that its own code.
func full(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == codes.SQLITE_FULL || e.Code() == codes.SQLITE_IOERR_SHMSIZE)
}

// passing tells whether an error may go away by itself: no room, or someone else's lock on the file.
func passing(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return full(err) || code == codes.SQLITE_BUSY || code == codes.SQLITE_LOCKED
}

// die answers everyone with the error and says it to the owner of the process. Nothing that was not committed
// was acknowledged; the next start goes on from what the disk has.
func (j *Journal) die(err error) {
	err = damaged(fmt.Errorf("journal: write: %w", err))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
	for _, o := range j.queue {
		o.end(j, err)
	}
	j.told(j.queue, err)
	j.queue = nil
	for _, c := range j.counters {
		if c != nil {
			c.wake()
		}
	}
	j.fatal <- err
}

// damaged adds to SQLite's word for a corrupt file what to do about it.
func damaged(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		if code := e.Code() & 0xff; code == codes.SQLITE_CORRUPT || code == codes.SQLITE_NOTADB {
			return fmt.Errorf("%w (%w): bring back a copy, or move the folder away to start without it", ErrDamaged, err)
		}
	}
	return err
}

// settleLast leaves a short log and the running time behind.
func (j *Journal) settleLast() {
	if len(j.retained) > 0 {
		if err := j.again(); err != nil {
			j.log.Warn().Err(err).Msg("what was kept could not be written")
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	lost := len(j.retained)
	j.told(nil, nil)
	for _, c := range j.counters {
		if c != nil {
			c.wake()
		}
	}
	if lost > 0 {
		j.say(j.log.Warn().Int("operations", lost), "the book had no room to the last; what was closed since may be sent again")
		return
	}
	if err := j.saveRan(); err != nil {
		j.say(j.log.Warn().Err(err), "the running time could not be written")
	}
}

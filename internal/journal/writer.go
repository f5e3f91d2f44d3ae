package journal

import (
	"fmt"
	"time"

	"chatrelay/internal/journal/sqlite"
)

const (
	idleEvery = time.Second // housekeeping when nothing else is to be done
	saveEvery = time.Minute // running time, while nothing else is written
)

// run is the writer: it alone changes the file. It ends when Close was called and the queue is empty, or
// with an error that ends the process.
func (j *Journal) run() {
	defer close(j.ended)
	defer j.logLines.flush()
	defer func() { // the files are closed behind this
		if s := j.unsaved.saving; s != nil {
			<-s.done
		}
	}()
	tick := time.NewTimer(idleEvery)
	defer tick.Stop()
	wait, hurry := idleEvery, false
	for {
		err := j.step(j.takeBatch())
		if err == nil {
			err = j.collect(false)
		}
		if err != nil {
			j.fail(err)
			return
		}
		j.logLines.flush()
		idle, over := j.pause()
		if over {
			j.finalCommit()
			return
		}
		if !idle {
			continue
		}
		// Only when that begins or ends: the wakeup must not put off the next try for ever.
		if hurry != (j.writeErr != nil) {
			hurry, wait = !hurry, idleEvery
			if hurry {
				wait = retryFirst
			}
			tick.Reset(wait)
		}
		select {
		case <-j.wakeup:
			continue
		case <-tick.C:
		}
		if err := j.tick(); err != nil {
			j.fail(err)
			return
		}
		j.logLines.flush()
		if hurry {
			wait = min(wait*2, retryMost)
		}
		tick.Reset(wait)
	}
}

// step commits a batch, as far as that is possible now.
func (j *Journal) step(batch []op) error {
	if batch = j.admit(batch); len(batch) == 0 {
		return nil
	}
	return j.commit(batch)
}

// pause tells whether there is nothing to commit now, and whether that is for good: from then on nothing gets
// into the queue, or it would never be answered.
func (j *Journal) pause() (idle, over bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.busy = false
	if j.queue.due || j.stopping && j.queue.ops.Len() > 0 {
		return false, false
	}
	if j.stopping {
		j.broken = errClosed
	}
	return true, j.stopping
}

// commit writes operations in one transaction and answers them. An error ends the process.
func (j *Journal) commit(batch []op) error {
	// A new generation may need more room than there is for what is in hand: it can wait, a close cannot.
	if j.writeErr == nil {
		if err := j.rotate(); err != nil && !sqlite.Temporary(err) {
			return j.failed(batch, err)
		}
	}
	for _, o := range batch {
		if p, ok := o.(prepared); ok {
			p.prepare()
		}
	}
	d := j.plan(batch)
	if err := j.write(d); err != nil {
		return j.failed(batch, err)
	}
	err := j.apply(d, func() {
		for _, o := range batch {
			o.end(j, nil)
		}
		j.notifyWaiters(batch, nil)
	})
	if err != nil {
		return err
	}
	return j.checkpoint(false)
}

// notifyWaiters answers those who wait for tickets, and lets them look.
func (j *Journal) notifyWaiters(batch []op, err error) {
	for _, o := range batch {
		switch n := o.(type) {
		case *bindOp:
			j.resolve(n.number(), n.outcome(err))
		case numbered:
			j.resolve(n.number(), err)
		}
	}
	j.resolved.Wake()
}

// fail answers everyone with the error and says it to the owner of the process. Nothing that was not committed
// was acknowledged; the next start goes on from what the disk has.
func (j *Journal) fail(err error) {
	err = sqlite.Damaged(fmt.Errorf("journal: write: %w", err))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
	left := j.queue.ops.Take(j.queue.ops.Len())
	for _, o := range left {
		o.end(j, err)
	}
	j.notifyWaiters(left, err)
	for _, c := range j.ready {
		if c != nil {
			c.wakeup.Wake()
		}
	}
	j.fatal <- err
}

// finalCommit leaves a short log and the running time behind.
func (j *Journal) finalCommit() {
	if len(j.retained) > 0 {
		if err := j.retryCommit(); err != nil {
			j.log.Warn().Err(err).Msg("what was kept could not be written")
		}
	}
	j.mu.Lock()
	lost := len(j.retained)
	j.notifyWaiters(nil, nil)
	for _, c := range j.ready {
		if c != nil {
			c.wakeup.Wake()
		}
	}
	j.mu.Unlock()
	if lost > 0 {
		j.logLines.later(j.log.Warn().Int("deliveries", lost),
			"disk still full at shutdown: finished deliveries are not recorded and may be sent again")
		return
	}
	err := j.saveRunning()
	if err == nil {
		err = j.checkpoint(true)
	}
	if err != nil {
		j.logLines.later(j.log.Warn().Err(err), "the tables could not be brought up to date")
	}
}

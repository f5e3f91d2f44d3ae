package journal

import (
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
)

const (
	retryFirst = 100 * time.Millisecond // a journal that could not be written to is tried again
	retryMost  = time.Second
	warnEvery  = time.Minute // the log hears of trouble at most this often
	probeLeast = 64 << 10    // a lone row may still fit where no message does
)

// failed ends a batch whose commit failed. A full disk and a foreign lock pass: appends and fresh bindings
// are answered with the error, what the wires have done already is kept and tried again. Anything else ends
// the process.
func (j *Journal) failed(batch []op, err error) error {
	if !sqlite.Temporary(err) {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, o := range batch {
			o.end(j, err)
		}
		j.notifyWaiters(batch, err)
		return err
	}
	bytes := 0
	for _, o := range batch {
		_, n := o.size()
		bytes += n
	}
	j.mu.Lock()
	j.writeErr, j.blocked = err, true
	j.probe = max(probeLeast, min(bytes, commitBytes))
	j.mu.Unlock()
	if now := time.Now(); now.Sub(j.writeErrWarnedAt) > warnEvery {
		j.writeErrWarnedAt, j.writeErrWarned = now, true
		j.log.Error().Err(err).Msg("the journal cannot be written to: nothing is taken until it can")
	}
	j.reject(batch)
	return j.retryCommit() // what the wires have done is small: it may fit where the appends did not
}

// admit turns away what cannot be written now and gives back what may be tried: while there is no room no
// message is tried before a probe has shown that there is, and while not even closes can be written, nothing.
func (j *Journal) admit(batch []op) []op {
	if j.writeErr == nil {
		return batch
	}
	var out, others []op
	for _, o := range batch {
		_, appends := o.(*appendOp)
		_, looks := o.(*lookOp) // which writes nothing
		if appends || j.blocked && !looks {
			out = append(out, o)
		} else {
			others = append(others, o)
		}
	}
	j.reject(out)
	return others
}

// reject answers operations while they cannot be written.
func (j *Journal) reject(batch []op) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range batch {
		if o.end(j, j.writeErr) {
			j.retained = append(j.retained, o)
		}
	}
	j.notifyWaiters(batch, j.writeErr)
}

// retryCommit tries what was kept; once nothing is left the wires may go on.
func (j *Journal) retryCommit() error {
	for {
		n := min(len(j.retained), commitOps)
		d := j.plan(j.retained[:n])
		if n == 0 { // the disk is asked, be there nothing to write
			d.add(&picture.Lease{Next: j.pic.Lease})
		}
		err := j.write(d)
		if err == nil {
			err = j.apply(d, func() { j.recovered(n) })
		}
		if sqlite.Temporary(err) {
			return nil
		}
		if err != nil || len(j.retained) == 0 {
			return err
		}
	}
}

// recovered answers what was kept and is committed. Under Journal.mu.
func (j *Journal) recovered(n int) {
	for _, o := range j.retained[:n] {
		o.end(j, nil)
	}
	if j.retained = j.retained[n:]; len(j.retained) == 0 {
		j.retained, j.blocked = nil, false
		for _, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
			j.ready[side].wakeup.Wake()
		}
	}
}

// recover tries what was kept, and then whether there is room for messages again.
func (j *Journal) recover() error {
	// What the tables have is let go: so the log may make room for itself.
	begins := j.unsaved.saving == nil
	if err := j.checkpoint(false); err != nil {
		return err
	}
	if err := j.collect(begins); err != nil {
		return err
	}
	if err := j.frames.Vacuum(); err != nil && !sqlite.Temporary(err) {
		return err
	}
	if err := j.retryCommit(); err != nil || j.blocked {
		return err
	}
	if err := j.frames.Probe(j.probe); err != nil {
		if sqlite.Temporary(err) {
			return nil
		}
		return err
	}
	j.mu.Lock()
	j.writeErr = nil
	j.mu.Unlock()
	if j.writeErrWarned {
		j.writeErrWarned = false
		j.log.Info().Msg("the journal can be written to again")
	}
	return nil
}

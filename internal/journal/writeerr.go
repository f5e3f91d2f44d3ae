package journal

import (
	"time"

	"chatrelay/bridge"
)

const (
	retryFirst = 100 * time.Millisecond // a journal that could not be written to is tried again
	retryMost  = time.Second
	warnAgain  = time.Minute // the log hears of trouble at most this often
	probeLeast = 64 << 10    // a lone row may still fit where no message does
)

// failed ends a batch whose commit failed. A full disk and a foreign lock pass: appends and fresh bindings
// are answered with the error, what the wires have done already is kept and tried again. Anything else ends
// the process.
func (j *Journal) failed(batch []op, err error) error {
	if !temporary(err) {
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
	if now := time.Now(); now.Sub(j.writeErrWarnedAt) > warnAgain {
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
	if j.blocked {
		j.reject(batch)
		return nil
	}
	var appends, others []op
	for _, o := range batch {
		if _, ok := o.(*appendOp); ok {
			appends = append(appends, o)
		} else {
			others = append(others, o)
		}
	}
	j.reject(appends)
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
		t := j.plan(j.retained[:n])
		t.meta[metaRan] = j.ran()
		if err := t.write(); err != nil {
			j.abandon()
			j.undo(t)
			if temporary(err) {
				return nil
			}
			return err
		}
		if err := j.recovered(t, n); err != nil || len(j.retained) == 0 {
			return err
		}
	}
}

func (j *Journal) recovered(t *txn, n int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	t.committed()
	for _, o := range j.retained[:n] {
		o.end(j, nil)
	}
	if j.retained = j.retained[n:]; len(j.retained) == 0 {
		j.retained, j.blocked = nil, false
		for _, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
			j.ready[side].wakeup.Wake()
		}
	}
	return j.accountSpace(t)
}

// recover tries what was kept, and then whether there is room for messages again.
func (j *Journal) recover() error {
	if err := j.retryCommit(); err != nil || j.blocked {
		return err
	}
	for _, q := range []string{
		"INSERT INTO meta (k, v) VALUES (?1, zeroblob(?2)) ON CONFLICT DO UPDATE SET v = excluded.v",
		"DELETE FROM meta WHERE k = ?1 AND ?2 > 0",
	} {
		if err := j.exec(q, metaProbe, j.probe); err != nil {
			if temporary(err) {
				return nil
			}
			return err
		}
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

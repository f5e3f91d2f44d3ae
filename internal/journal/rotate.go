package journal

import (
	"slices"

	"chatrelay/bridge"
)

// rotate begins a new generation of keys when it is time, and forgets what is older than the window (in
// running time: a relay that was off for two days still knows its echoes) or more than may be kept. Keys of
// messages with an open delivery move into the new generation. It is a transaction of its own.
func (j *Journal) rotate() error {
	j.mu.Lock()
	ran := j.ran()
	if !j.dedup.due(ran) {
		j.mu.Unlock()
		return nil
	}
	n, aged := j.dedup.expired(ran, j.pinned)
	old := j.dedup.generations[:n]
	carried, failed, early := j.keysToKeep(old, aged)
	fresh := newGeneration(j.dedup.current().n+1, ran)
	j.mu.Unlock()

	row, err := j.writeRotation(old, fresh, carried, failed, early)
	if err != nil {
		j.abandon()
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dedup.generations = append(slices.Clone(j.dedup.generations[n:]), fresh)
	j.seenRow, fresh.moved = row, len(carried)
	for _, k := range carried {
		fresh.keys[k.origin][k.key] = k.entry
	}
	for _, f := range failed {
		fresh.failed[f.msg] = f.reason
	}
	j.dedup.recount()
	if early > 0 {
		j.counts[bridge.Counter{Name: evicted}] += int64(early)
		j.logLines.later(j.log.Warn().Int("keys", early).Int("limit", j.opt.DedupMaxKeys),
			"more keys than may be kept: the oldest are forgotten before their time")
	}
	j.ranSaved, j.checkpointed = ran, false
	return nil
}

// keysToKeep are the keys among the old generations whose messages have a delivery open, and what is known of those;
// early is how many of the others are forgotten before their time, which all but the first aged ones are.
func (j *Journal) keysToKeep(old []*generation, aged int) (carried []seenKey, failed []failedRow, early int) {
	for i, g := range old {
		had := len(carried)
		for origin, keys := range g.keys {
			for key, first := range keys {
				if j.entries[first.msg()].hasOpen() {
					carried = append(carried, seenKey{key, bridge.SideID(origin), first})
				}
			}
		}
		for msg, reason := range g.failed {
			if j.entries[msg].hasOpen() {
				failed = append(failed, failedRow{msg, reason})
			}
		}
		if i >= aged {
			early += g.count() - (len(carried) - had)
		}
	}
	return carried, failed, early
}

func (j *Journal) writeRotation(old []*generation, fresh *generation, carried []seenKey, failed []failedRow, early int) (uint64, error) {
	s, row := j.stmts, j.seenRow
	if err := s.begin.one(j.conn); err != nil {
		return 0, err
	}
	if len(old) > 0 {
		last := old[len(old)-1]
		if err := j.exec("DELETE FROM seen WHERE gen <= ? AND n <= ?", int64(last.n), int64(j.seenRow)); err != nil {
			return 0, err
		}
		if err := j.exec("DELETE FROM failed WHERE gen <= ?", int64(last.n)); err != nil {
			return 0, err
		}
	}
	var rows []any
	for _, f := range failed {
		rows = append(rows, int64(f.msg), int64(fresh.n), f.reason)
	}
	if err := s.failed.exec(j.conn, rows); err != nil {
		return 0, err
	}
	// A row even when nothing is carried: it says when the generation was born.
	chunks := slices.Collect(slices.Chunk(carried, commitOps))
	if len(chunks) == 0 {
		chunks = [][]seenKey{nil}
	}
	for _, chunk := range chunks {
		row++
		if err := s.seen.exec(j.conn, []any{int64(row), int64(fresh.n), fresh.began, pack(chunk)}); err != nil {
			return 0, err
		}
	}
	if err := s.meta.exec(j.conn, []any{metaRan, fresh.began}); err != nil {
		return 0, err
	}
	if early > 0 {
		c := bridge.Counter{Name: evicted}
		if err := s.totals.exec(j.conn, []any{c.Name, int64(0), "", j.counts[c] + int64(early)}); err != nil {
			return 0, err
		}
	}
	return row, s.commit.one(j.conn)
}

func (d *dedupIndex) recount() {
	d.all = 0
	for _, g := range d.generations {
		d.all += g.count()
	}
}

// saveRan keeps the running time, so that the window goes on after a restart.
func (j *Journal) saveRan() error {
	ran := j.ran()
	if err := j.stmts.meta.exec(j.conn, []any{metaRan, ran}); err != nil {
		return err
	}
	j.ranSaved = ran
	return nil
}

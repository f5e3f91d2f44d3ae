package journal

import (
	"context"
	"database/sql"

	"chatrelay/bridge"
)

// Dead letters hold at most a quarter of the journal: beyond it the oldest are put away, as if a person had dropped
// them. They stay counted as dead, and a retry of theirs is still answered with failed.
const (
	deadShare   = 4   // of MaxBytes: a quarter
	deadEase    = 16  // of that share is freed at a time
	deadMessage = 256 // about what a dead letter takes in the file beside its body
	deadRow     = 72  // and each of its dead deliveries beside its texts, with its place in the index
	deadChunk   = 256 // deliveries put away with one commit
	deadPutAway = "dead_put_away"
)

// addDead counts a delivery that has become a dead letter. The body counts once, whatever the number of
// deliveries that need it.
func (y *tally) addDead(m *entry, d *delivery) {
	y.n++
	y.bytes += d.deadBytes()
	if m.durable.dead == 1 {
		y.bytes += deadMessage + m.deadSize()
	}
}

// deadSize is the size of the body that is in the file once the message is dead.
func (m *entry) deadSize() int64 {
	if m.cut > 0 {
		return int64(m.cut)
	}
	return int64(m.size)
}

// removeDead takes one off again; the message counts it no more.
func (y *tally) removeDead(m *entry, d *delivery) {
	y.n--
	y.bytes -= d.deadBytes()
	if m.durable.dead == 0 {
		y.bytes -= deadMessage + m.deadSize()
	}
}

// deadBytes is about what a dead delivery takes in the file. A message to a large group has thousands of them, each with the
// reason.
func (d *delivery) deadBytes() int64 {
	note, _ := noteText(d.note).(string)
	return int64(deadRow + len(d.to) + len(d.lane.name) + len(d.note.Reason) + len(note))
}

// loadDead counts the dead letters in the file.
func (j *Journal) loadDead() error {
	var n, messages, bodies, texts sql.NullInt64
	err := j.conn.QueryRowContext(context.Background(), `SELECT sum(d.n), count(*), sum(coalesce(length(m.body), 0)), sum(d.texts)
		FROM (SELECT msg, count(*) AS n, sum(octet_length(dest) + octet_length(lane) + coalesce(octet_length(reason), 0)
			+ coalesce(octet_length(note), 0)) AS texts FROM legs WHERE state = 1 GROUP BY msg) d JOIN messages m ON m.id = d.msg`).
		Scan(&n, &messages, &bodies, &texts)
	j.dead = tally{n.Int64, n.Int64*deadRow + texts.Int64 + messages.Int64*deadMessage + bodies.Int64}
	return err
}

// shedDead has the oldest dead letters put away when they fill more than their share. Under Journal.mu.
func (j *Journal) shedDead() {
	if j.dead.bytes > j.opt.MaxBytes/deadShare && !j.shedding && j.broken == nil {
		j.shedding = true
		j.put(&shedOp{j: j})
	}
}

type shedOp struct {
	j    *Journal
	refs []bridge.Ref
	read map[uint64]recalled
	n    int
	err  error
}

func (o *shedOp) size() (int, int) { return deadChunk, 0 }

func (o *shedOp) end(j *Journal, err error) bool {
	j.shedding = false // if it failed, the next commit asks again
	if err == nil {
		j.shed += o.n
	}
	if err == nil && o.err == nil {
		j.shedDead()
	}
	return false
}

// prepare reads the oldest dead letters before the writer takes the lock.
func (o *shedOp) prepare() {
	if o.refs, o.err = o.j.oldestDead(); o.err == nil {
		o.read, o.err = o.j.readDead(o.refs)
	}
}

// apply puts them away, as long as there is too much.
func (o *shedOp) apply(t *txn) {
	j := t.j
	share := j.opt.MaxBytes / deadShare
	err := o.err
	for _, ref := range o.refs {
		if err != nil || j.dead.bytes+t.dead.bytes <= share-share/deadEase {
			break
		}
		var m *entry
		if m, err = t.restore(o.read, ref.Msg); m == nil {
			continue
		}
		if d := m.delivery(ref.Delivery); d != nil && d.durable.dead {
			t.drop(m, d)
			t.count(deadPutAway, m.origin, d.note.Reason, 1)
			o.n++
		}
	}
	o.err = err
}

// logShed logs what was put away, not more often than once a minute.
func (j *Journal) logShed() {
	if now := j.opt.Clock(); j.shed > 0 && now.Sub(j.shedAt) >= warnAgain {
		j.logLines.later(j.log.Warn().Int("deliveries", j.shed).Int64("dead", j.dead.n).Int64("bytes", j.dead.bytes).Int64("limit", j.opt.MaxBytes),
			"dead letters were over their quarter of the journal: the oldest were put away; look at the rest (chatrelay journal ls -dead)")
		j.shed, j.shedAt = 0, now
	}
}

func (j *Journal) oldestDead() (refs []bridge.Ref, err error) {
	err = j.rows(func(rows *sql.Rows) error {
		var ref bridge.Ref
		err := rows.Scan(&ref.Msg, &ref.Delivery)
		refs = append(refs, ref)
		return err
	}, "SELECT msg, leg FROM legs WHERE state = 1 ORDER BY msg, leg LIMIT ?", deadChunk)
	return refs, err
}

package journal

import (
	"time"

	"chatrelay/bridge"
)

// Dead letters hold at most a quarter of the journal: beyond it the oldest are put away, as if a person had dropped
// them. They stay counted as dead, and a retry of theirs is still answered with failed.
const (
	deadShare   = 4   // of MaxBytes: a quarter
	deadEase    = 16  // of that share is freed at a time
	deadChunk   = 256 // deliveries put away with one commit
	deadPutAway = "dead_put_away"
)

// shedding is how far that is, and what the log was told. The writer's own.
type shedding struct {
	busy   bool
	n      int       // put away, and not yet said
	at     time.Time // said last
	warned bool      // that there are many
}

// shedDead has the oldest dead letters put away when they fill more than their share. That needs tables that know all: it does not
// wait for a checkpoint that is under way. Under Journal.mu.
func (j *Journal) shedDead() {
	if j.pic.Dead.Bytes > j.opt.MaxBytes/deadShare && !j.shed.busy && j.broken == nil && j.unsaved.saving == nil && j.ran() >= j.unsaved.notNow {
		j.shed.busy = true
		j.put(&shedOp{j: j})
	}
}

type shedOp struct {
	j    *Journal
	refs []bridge.Ref
	read recalled
	away []bridge.Ref
	err  error
}

func (o *shedOp) size() (int, int) { return deadChunk, 0 }

func (o *shedOp) end(j *Journal, err error) bool {
	j.shed.busy = false // if it failed, the next commit asks again
	if err == nil {
		j.shed.n += len(o.away)
		j.logLines.chose(&j.opt, ChosePutAway, nil, o.away...)
	}
	if err == nil && o.err == nil {
		j.shedDead()
	}
	return false
}

// prepare reads the oldest dead letters before the writer takes the lock.
func (o *shedOp) prepare() {
	if o.err = upToDate(o.j); o.err != nil {
		return
	}
	if o.refs, o.err = o.j.tables.OldestDead(deadChunk); o.err == nil {
		o.read, o.err = o.j.readDead(o.refs)
	}
}

// decide puts them away, as long as there is too much.
func (o *shedOp) decide(d *decision) {
	j := d.j
	o.away = nil
	share := j.opt.MaxBytes / deadShare
	tally, left := j.pic.Dead, map[uint64]int{}
	for _, ref := range o.refs {
		if o.err != nil || tally.Bytes <= share-share/deadEase {
			break
		}
		p := d.dead(o.read, ref)
		if p == nil {
			continue
		}
		m := p.Message
		if _, seen := left[m.ID]; !seen {
			left[m.ID] = int(m.Dead)
		}
		left[m.ID]--
		tally.Bytes -= p.DeadBytes(left[m.ID] == 0)
		d.drop(o.read, p)
		d.count(deadPutAway, m.Origin, p.Note.Reason, 1)
		o.away = append(o.away, ref)
	}
}

// logShed logs what was put away, not more often than once a minute.
func (j *Journal) logShed() {
	if now := j.opt.Clock(); j.shed.n > 0 && now.Sub(j.shed.at) >= warnEvery {
		j.logLines.later(j.log.Warn().Int("deliveries", j.shed.n).Int64("dead", j.pic.Dead.N).Int64("bytes", j.pic.Dead.Bytes).Int64("limit", j.opt.MaxBytes),
			"dead letters were over their quarter of the journal: the oldest were put away; look at the rest (chatrelay journal ls -dead)")
		j.shed.n, j.shed.at = 0, now
	}
}

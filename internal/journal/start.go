package journal

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
)

// load makes the picture of the tables and the log. Start is recovery: there is no other way to begin.
func (j *Journal) load() (err error) {
	elapsed := j.opt.Elapsed().Milliseconds()
	if j.pic, err = j.tables.Load(func(at, ran int64) int64 { return j.ranAt(at, ran+elapsed) }); err != nil {
		return err
	}
	j.unsaved.to = j.pic.Head.N
	if j.frames, err = openLog(j); err != nil {
		return err
	}
	err = j.frames.Read(j.unsaved.to+1, func(n uint64, frame []byte) error {
		h, facts, err := picture.Decode(bytes.Clone(frame))
		if err == nil {
			j.unsaved.add(j.pic.Apply(h, facts), len(frame), sqlite.Sum(j.tables.ID(), n, frame))
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range j.pic.Messages { // how long ago they were taken, the time of a standstill included
		m.Ran = j.ranAt(m.At, j.pic.Head.Ran+elapsed)
	}
	if err := j.checkpoint(true); err != nil {
		return err
	}
	j.ranBase = j.pic.Head.Ran
	j.nextID = max(j.nextID, firstNumber(j.pic.Lease, j.nowMS()))
	j.queueLoaded()
	return j.measure()
}

// openLog opens the log beside the tables.
func openLog(j *Journal) (Log, error) {
	if j.opt.inMemory() {
		return newMemoryLog(), nil
	}
	position, err := j.tables.Position()
	if err != nil {
		return nil, err
	}
	var l Log
	if j.opt.Database != nil {
		l, err = j.opt.Database.Log(j.tables.ID(), position)
	} else {
		l, err = sqlite.OpenLog(j.folder, j.tables.ID(), position, j.opt.Sync == "full")
	}
	if err != nil {
		return nil, err // not a nil pointer in an interface
	}
	return l, nil
}

// queueLoaded gives all that is open its place.
func (j *Journal) queueLoaded() {
	var open []*picture.Delivery
	messages := slices.SortedFunc(maps.Values(j.pic.Messages), func(a, b *picture.Message) int { return cmp.Compare(a.ID, b.ID) })
	for _, m := range messages {
		j.nextID = max(j.nextID, m.ID+1)
		if m.Pending() {
			j.byAge.Push(m)
			if !m.Delayed {
				j.undelayed.Push(m)
			}
		}
		for _, p := range m.Deliveries {
			if p != nil && !p.Finished() {
				open = append(open, p)
			}
		}
	}
	slices.SortFunc(open, func(a, b *picture.Delivery) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, p := range open {
		d := j.place(p)
		if p.Put != nil {
			d.attempts, d.waited = p.Put.Attempts, p.Put.Waited
		}
		if p.Order > 0 {
			d.state = inflight
			continue
		}
		j.queueDelivery(d)
	}
	for _, m := range messages {
		shareSender(m)
	}
	for side := range j.pic.Unproven {
		if list := &j.pic.Unproven[side]; list.Len() > 0 {
			j.lastUnproven = max(j.lastUnproven, list.At(list.Len()-1).N)
		}
	}
}

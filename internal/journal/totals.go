package journal

import (
	"maps"
	"time"

	"chatrelay/bridge"
)

// Totals implements bridge.Balance. It shows only what is committed.
func (j *Journal) Totals() bridge.Totals {
	j.mu.Lock()
	defer j.mu.Unlock()
	a := bridge.Totals{
		Counts:  maps.Clone(j.pic.Counts),
		Pending: map[bridge.SideID]int64{},
		Open:    map[bridge.SideID]int64{},
		Keys:    j.pic.Keys.All,
		Bytes:   j.space.used + j.space.grown,
		Limit:   j.opt.MaxBytes,
		Full:    j.space.full || j.space.crowded,

		Deliveries: int64(j.waiting), MaxDeliveries: int64(j.opt.MaxPending), Crowded: j.space.crowded,
	}
	for _, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		a.Pending[side], a.Open[side] = j.pic.Pending[side], j.pic.Open[side]
	}
	for i := range j.byAge.Len() {
		if m := j.byAge.At(i); m.Pending() {
			a.Oldest = time.Duration(max(1, j.running()-m.Ran)) * time.Millisecond
			break
		}
	}
	switch {
	case j.broken != nil:
		a.WriteErr = j.broken.Error()
	case j.writeErr != nil:
		a.WriteErr = j.writeErr.Error()
	}
	return a
}

// HasSpace tells whether messages are taken: the journal is not full, and can be written to.
func (j *Journal) HasSpace() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.space.full && !j.space.crowded && j.writeErr == nil
}

// DeadLetters is how many dead letters the journal holds, and how much of it they fill.
func (j *Journal) DeadLetters() (n, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.pic.Dead.N, j.pic.Dead.Bytes
}

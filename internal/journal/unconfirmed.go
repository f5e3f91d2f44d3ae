package journal

import (
	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// LastUnproven implements bridge.SideJournal.
func (j *Journal) LastUnproven() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lastUnproven
}

// Confirm implements bridge.SideJournal.
func (j *Journal) Confirm(side bridge.SideID, unprovenNo uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.put(&confirmOp{side, unprovenNo})
}

// BounceUnconfirmed implements bridge.SideJournal.
func (j *Journal) BounceUnconfirmed(side bridge.SideID, upTo uint64, longer int, why *bridge.Refusal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.put(&bounceUnconfirmedOp{side, upTo, longer, why})
}

// numberUnproven numbers the results that prove little. Under Journal.mu.
func (j *Journal) numberUnproven(results []bridge.Result) (before uint64) {
	before = j.lastUnproven
	for _, r := range results {
		if r.Unproven && r.Err == nil {
			j.lastUnproven++
		}
	}
	return before
}

type confirmOp struct {
	side bridge.SideID
	upTo uint64
}

func (o *confirmOp) size() (int, int)               { return 1, 0 }
func (o *confirmOp) end(_ *Journal, err error) bool { return err != nil }
func (o *confirmOp) decide(d *decision)             { d.add(&picture.Confirmed{Side: o.side, UpTo: o.upTo}) }

// bounceUnconfirmedOp bounces what was never confirmed.
type bounceUnconfirmedOp struct {
	side   bridge.SideID
	upTo   uint64
	longer int
	why    *bridge.Refusal
}

func (o *bounceUnconfirmedOp) size() (int, int)               { return 1, 0 }
func (o *bounceUnconfirmedOp) end(_ *Journal, err error) bool { return err != nil }

func (o *bounceUnconfirmedOp) decide(d *decision) {
	for _, x := range d.j.pic.Unproven[o.side].All() {
		if x.N > o.upTo {
			break
		}
		if m := d.j.pic.Messages[x.Ref.Msg]; m == nil || m.BodySize() > int64(o.longer) {
			d.bounce(x.Ref.Msg, o.why)
		}
	}
	d.add(&picture.Unconfirmed{Side: o.side, UpTo: o.upTo, Longer: o.longer, Why: o.why})
}

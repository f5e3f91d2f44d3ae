package journal

import (
	"errors"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
)

// settleOp settles or buries deliveries.
type settleOp struct {
	results        []bridge.Result
	unprovenBefore uint64 // number of the last unproven one before it
}

func (o *settleOp) size() (int, int) { return len(o.results), 0 }

func (o *settleOp) decide(d *decision) {
	n := o.unprovenBefore
	for _, r := range o.results {
		f := &picture.Closed{Ref: r.Ref, Why: reasonOf(r.Err), Body: r.Body}
		if r.Unproven && r.Err == nil {
			n++
			f.Unproven = n
		}
		var side bridge.SideID
		if p := d.j.pic.Find(r.Ref); p != nil {
			side, f.CancelDelayed = p.Side, d.close(p)
		} else if p := d.raised[r.Ref]; p != nil {
			side = p.Side
		} else if took := d.taken[r.Ref.Msg]; took != nil && int(r.Ref.Delivery) < len(took.Deliveries) {
			side = took.Deliveries[r.Ref.Delivery].Side
		} else {
			continue // closed before
		}
		d.setState(side, r.State)
		d.add(f)
	}
}

func (o *settleOp) end(_ *Journal, err error) bool { return err != nil }

// reasonOf is nil for what is settled. Sides and dispatchers bury with a *Refusal; anything else is put into one.
func reasonOf(err error) *bridge.Refusal {
	if err == nil {
		return nil
	}
	var why *bridge.Refusal
	if errors.As(err, &why) {
		return why
	}
	return bridge.Refuse("undeliverable", "%v", err)
}

// bounceOp is a delivery that the far side gave back.
type bounceOp struct {
	ref bridge.Ref
	why *bridge.Refusal
}

func (o *bounceOp) size() (int, int) { return 1, 0 }

func (o *bounceOp) end(_ *Journal, err error) bool { return err != nil }

func (o *bounceOp) decide(d *decision) {
	if o.ref.Msg >= d.j.nextID {
		return // no such message was ever sent
	}
	f := &picture.Bounced{Ref: o.ref, Why: o.why}
	if p := d.j.pic.Unfinished(o.ref); p != nil {
		f.CancelDelayed = d.close(p)
	} else if m := d.j.pic.Messages[o.ref.Msg]; m == nil || o.ref.Delivery < m.Copies {
		d.bounce(o.ref.Msg, o.why)
	}
	d.add(f)
}

// delayOp tells the senders of messages that have waited long, once each.
type delayOp struct {
	messages []*picture.Message
	done     chan error // capacity 1
}

func (o *delayOp) size() (int, int) { return len(o.messages), 0 }

func (o *delayOp) decide(d *decision) {
	for _, m := range o.messages {
		if m.Pending() && !m.Delayed && !d.delayed[m.ID] {
			d.delayed[m.ID] = true
			d.waiting++
			d.add(&picture.Delayed{Msg: m.ID})
		}
	}
}

func (o *delayOp) end(_ *Journal, err error) bool {
	select {
	case o.done <- err:
	default: // it was told the first time; the journal goes on trying
	}
	return err != nil
}

package journal

import (
	"context"
	"errors"
	"fmt"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
)

// Requeue puts dead deliveries back into their lanes. Their message is pending again, and so is its key. All of
// them or none: a delivery that is not dead is an error.
func (j *Journal) Requeue(ctx context.Context, refs ...bridge.Ref) error {
	return j.changeDead(ctx, "requeue", refs, (*decision).requeue)
}

// Drop gives dead deliveries up for good. They stay counted as dead.
func (j *Journal) Drop(ctx context.Context, refs ...bridge.Ref) error {
	return j.changeDead(ctx, "drop", refs, (*decision).drop)
}

// changeDead reads the messages of dead deliveries back and has the writer do something with them.
func (j *Journal) changeDead(ctx context.Context, what string, refs []bridge.Ref, do func(*decision, recalled, *picture.Delivery)) error {
	if len(refs) == 0 {
		return nil
	}
	return j.waitChanged(ctx, what, &changeDeadOp{j: j, refs: refs, do: do, done: make(chan error, 1)})
}

func (j *Journal) waitChanged(ctx context.Context, what string, o *changeDeadOp) error {
	err := j.enqueue(o)
	if err != nil {
		return fmt.Errorf("journal: %s: %w", what, err)
	}
	select {
	case err = <-o.done:
	case <-ctx.Done():
		if j.withdraw(o) {
			return ctx.Err()
		}
		err = <-o.done
	}
	if err != nil {
		return fmt.Errorf("journal: %s: %w", what, err)
	}
	return nil
}

type changeDeadOp struct {
	j     *Journal
	refs  []bridge.Ref
	do    func(*decision, recalled, *picture.Delivery)
	some  bool // those that are not dead any more are passed over
	waits bool // what it does adds to what waits: it ends where there is no room for that
	full  bool
	read  recalled // what the file has of them
	err   error
	done  chan error // capacity 1

	changed []bridge.Ref
}

func (o *changeDeadOp) size() (int, int) { return len(o.refs), 0 }

func (o *changeDeadOp) end(_ *Journal, err error) bool {
	o.done <- errors.Join(o.err, err)
	return false
}

// prepare reads the messages before the writer takes the lock.
func (o *changeDeadOp) prepare() { o.read, o.err = o.j.readDead(o.refs) }

// decide looks at all before it changes any.
func (o *changeDeadOp) decide(d *decision) {
	var found []*picture.Delivery
	seen := map[bridge.Ref]bool{}
	for _, ref := range o.refs {
		if seen[ref] || o.err != nil {
			continue
		}
		seen[ref] = true
		if p := d.dead(o.read, ref); p != nil {
			found = append(found, p)
		} else if !o.some {
			o.err = fmt.Errorf("delivery %v: %w", ref, ErrUnknown)
		}
	}
	if o.err != nil {
		return
	}
	o.changed, o.full = nil, false
	for _, p := range found {
		if most := d.j.opt.MaxPending; o.waits && most > 0 && d.j.waiting+d.waiting >= most {
			o.full = true
			return
		}
		o.do(d, o.read, p)
		o.changed = append(o.changed, p.Ref())
	}
}

// recalled are messages with their dead deliveries as the file has them.
type recalled map[uint64]*recalledMessage

type recalledMessage struct {
	*sqlite.DeadMessage
	made *picture.Message
}

// readDead reads them. By the writer only. What the tables have not been told yet they must be told before.
func (j *Journal) readDead(refs []bridge.Ref) (recalled, error) {
	if err := upToDate(j); err != nil {
		return nil, err
	}
	found, err := j.tables.ReadDead(refs)
	read := make(recalled, len(found))
	for id, m := range found {
		read[id] = &recalledMessage{DeadMessage: m}
	}
	return read, err
}

// dead finds a dead delivery, in memory or in what was read of the file; nil: there is none, or not any more.
func (d *decision) dead(read recalled, ref bridge.Ref) *picture.Delivery {
	if d.raised[ref] != nil {
		return nil
	}
	m := d.j.pic.Messages[ref.Msg]
	if r := read[ref.Msg]; m == nil && r != nil {
		if r.made == nil {
			r.Ran = d.j.ranAt(r.At, d.head.Ran)
			r.made = r.Message()
		}
		m = r.made
	}
	if m == nil {
		return nil
	}
	if p := m.Delivery(ref.Delivery); p != nil && p.Dead {
		return p
	}
	return nil
}

// addDead adds the fact with which the picture learns what is about to be changed and it has not.
func (d *decision) addDead(read recalled, p *picture.Delivery) {
	id := p.Message.ID
	if d.raised[p.Ref()] = p; d.j.pic.Messages[id] == nil && !d.recalled[id] {
		d.recalled[id] = true
		d.add(&read[id].Recalled)
	}
}

func (d *decision) requeue(read recalled, p *picture.Delivery) {
	d.addDead(read, p)
	d.waiting++
	d.verdicts[p.Message.ID] = ""
	f := &picture.Requeued{Ref: p.Ref()}
	if r := read[p.Message.ID]; r != nil {
		f.Keys = r.Known
		for _, key := range r.Known { // a retry in the same frame is one
			if _, known := d.find(r.Origin, key); !known {
				d.keys[originKey{r.Origin, key}] = picture.First{Msg: r.ID}
			}
		}
	}
	d.add(f)
}

func (d *decision) drop(read recalled, p *picture.Delivery) {
	d.addDead(read, p)
	d.add(&picture.Dropped{Ref: p.Ref()})
}

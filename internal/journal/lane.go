package journal

import (
	"container/heap"
	"slices"

	"chatrelay/bridge"
	"chatrelay/internal/journal/fifo"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/wait"
)

// lane keeps the order of deliveries from one sender to one destination. Guarded by Journal.mu.
type lane struct {
	side       bridge.SideID
	name       string
	refs       int                   // deliveries that belong to it and are not gone; at 0 the lane goes
	deliveries fifo.Queue[*delivery] // waiting, by seq
	until      int64                 // running ms: backing off
	pace       int64                 // ms between two deliveries; 0: none
	ready      bool                  // in its side's turns
	backingOff bool                  // in its side's list of those that back off
}

type laneKey struct {
	side bridge.SideID
	name string
}

func (n *lane) empty() bool { return n.deliveries.Len() == 0 }

// put adds a delivery in its place: at the end when it is new, near the front when it is given back.
func (n *lane) put(d *delivery) {
	if q := &n.deliveries; q.Len() > 0 && q.At(q.Len()-1).Seq > d.Seq {
		q.Insert(d, func(x *delivery) bool { return x.Seq < d.Seq })
		return
	}
	n.deliveries.Push(d)
}

// take removes and returns the oldest delivery.
func (n *lane) take() *delivery {
	d := n.deliveries.At(0)
	n.deliveries.Drop(1)
	return d
}

// remove takes a delivery out of the middle; false: it is not there.
func (n *lane) remove(d *delivery) bool {
	q := &n.deliveries
	at := q.Search(func(x *delivery) bool { return x.Seq < d.Seq })
	if at == q.Len() || q.At(at) != d {
		return false
	}
	q.Remove(at)
	return true
}

// readyQueue holds the lanes of one side that have something to hand out, in turn. Guarded by Journal.mu.
type readyQueue struct {
	roundRobin                // of the lanes that are ready
	backingOff backoffHeap    // back off
	wakeup     wait.Broadcast // something may have become ready
	// unbound are deliveries whose bind has failed, by lane, until they are bound or closed.
	unbound map[*lane][]*delivery
}

func (c *readyQueue) bindFailed(d *delivery) {
	if c.unbound == nil {
		c.unbound = map[*lane][]*delivery{}
	}
	c.unbound[d.lane] = append(c.unbound[d.lane], d)
}

// overtakes tells whether the bind of one before it in its lane has failed, and that one is not bound again yet. The wire hears of
// that failure later than this one may be asked for: killed in between, it would resume the newer one alone. What the same commit
// closes is out of the way.
func (c *readyQueue) overtakes(d *delivery, closed map[*picture.Delivery]bool) bool {
	failed, some := c.unbound[d.lane]
	if !some {
		return false
	}
	failed = slices.DeleteFunc(failed, func(x *delivery) bool { return x == d || x.Order > 0 || x.Finished() })
	if c.unbound[d.lane] = failed; len(failed) == 0 {
		delete(c.unbound, d.lane)
	}
	return d.Order == 0 && slices.ContainsFunc(failed, func(x *delivery) bool { return x.Seq < d.Seq && !closed[x.Delivery] })
}

// lane finds or makes the lane of a delivery that is being made; the delivery counts from then on.
func (j *Journal) lane(side bridge.SideID, name string) *lane {
	key := laneKey{side, name}
	n := j.lanes[key]
	if n == nil {
		n = &lane{side: side, name: name, pace: paceOf(name)}
		j.lanes[key] = n
	}
	n.refs++
	return n
}

// unref takes a delivery off its lane's count for good. A lane that has a pace stays for as long as its next delivery would
// have to wait.
func (j *Journal) unref(n *lane) {
	if n.refs--; n.refs > 0 {
		return
	}
	if c := j.ready[n.side]; n.pace > 0 && n.until > j.running() && c != nil {
		c.backOff(n)
		return
	}
	j.forgetLane(n)
}

// forgetLane lets go of a lane, unless another one has its name by now: that one's order must be kept.
func (j *Journal) forgetLane(n *lane) {
	if c := j.ready[n.side]; c != nil {
		delete(c.unbound, n)
	}
	if key := (laneKey{n.side, n.name}); j.lanes[key] == n {
		delete(j.lanes, key)
	}
}

// queueDelivery puts a delivery (back) into its lane and shows the lane.
func (j *Journal) queueDelivery(d *delivery) {
	d.state = queued
	d.lane.put(d)
	j.markReady(d.lane)
}

// markReady puts a lane that has deliveries into its side's turns, or among those that back off.
func (j *Journal) markReady(n *lane) {
	c := j.ready[n.side]
	if n.ready || n.empty() || c == nil {
		return
	}
	if n.until > j.running() {
		c.backOff(n)
		c.wakeup.Wake() // whoever waits must look at the time again
		return
	}
	c.push(n)
	c.wakeup.Wake()
}

// backOff puts a lane among those that back off.
func (c *readyQueue) backOff(n *lane) {
	if !n.backingOff {
		n.backingOff = true
		heap.Push(&c.backingOff, laneBackoff{n, n.until})
	}
}

// wakeDue shows the lanes whose time has come and tells when the next one's may; 0: none backs off.
func (j *Journal) wakeDue(c *readyQueue, now int64) (next int64) {
	for len(c.backingOff) > 0 && c.backingOff[0].until <= now {
		n := heap.Pop(&c.backingOff).(laneBackoff).lane
		n.backingOff = false
		switch {
		case n.until > now: // it was made to wait longer since
			c.backOff(n)
		case n.refs == 0: // it was only kept for its pace, or has gone already
			j.forgetLane(n)
		case !n.ready && !n.empty():
			c.push(n)
		}
	}
	if len(c.backingOff) == 0 {
		return 0
	}
	return c.backingOff[0].until
}

// laneBackoff is a lane that backs off, and until when as far as that was known.
type laneBackoff struct {
	lane  *lane
	until int64
}

// backoffHeap is a heap, the first to wake on top.
type backoffHeap []laneBackoff

func (r backoffHeap) Len() int           { return len(r) }
func (r backoffHeap) Less(i, j int) bool { return r[i].until < r[j].until }
func (r backoffHeap) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *backoffHeap) Push(x any)        { *r = append(*r, x.(laneBackoff)) }

func (r *backoffHeap) Pop() any {
	old := *r
	last := old[len(old)-1]
	old[len(old)-1] = laneBackoff{}
	*r = old[:len(old)-1]
	return last
}

package journal

import (
	"container/heap"
	"slices"
	"sort"

	"chatrelay/bridge"
)

// lane keeps the order of deliveries from one sender to one destination. Guarded by Journal.mu.
type lane struct {
	side  bridge.SideID
	name  string
	refs  int    // deliveries that belong to it and are not gone; at 0 the lane goes
	legs  []*leg // waiting, by seq, from head on
	head  int
	until int64 // running ms: backing off
	pace  int64 // ms between two deliveries; 0: none
	ready bool  // in its side's turns
	rests bool  // in its side's list of those that back off
}

type laneKey struct {
	side bridge.SideID
	name string
}

func (n *lane) empty() bool { return n.head == len(n.legs) }

// put adds a delivery in its place: at the end when it is new, near the front when it is given back.
func (n *lane) put(l *leg) {
	if n.empty() {
		n.legs, n.head = n.legs[:0], 0
	}
	if n.empty() || n.legs[len(n.legs)-1].seq < l.seq {
		n.legs = append(n.legs, l)
		return
	}
	at := n.find(l.seq)
	if n.head > 0 {
		n.head--
		copy(n.legs[n.head:], n.legs[n.head+1:at])
		n.legs[at-1] = l
		return
	}
	n.legs = slices.Insert(n.legs, at, l)
}

// take removes and returns the oldest delivery.
func (n *lane) take() *leg {
	l := n.legs[n.head]
	n.legs[n.head] = nil
	n.head++
	if n.head > 64 && n.head*2 > len(n.legs) {
		n.legs = append(n.legs[:0:0], n.legs[n.head:]...)
		n.head = 0
	}
	return l
}

// remove takes a delivery out of the middle; false: it is not there.
func (n *lane) remove(l *leg) bool {
	at := n.find(l.seq)
	if at == len(n.legs) || n.legs[at] != l {
		return false
	}
	n.legs = slices.Delete(n.legs, at, at+1)
	return true
}

// find is the index of the first waiting delivery that is not older than seq.
func (n *lane) find(seq uint64) int {
	return n.head + sort.Search(len(n.legs)-n.head, func(i int) bool { return n.legs[n.head+i].seq >= seq })
}

// counter holds the lanes of one side that have something to hand out, in turn. Guarded by Journal.mu.
type counter struct {
	turns                 // of the lanes that are ready
	backing restings      // back off
	bell    chan struct{} // closed and replaced when something may have become ready
	waiters int
}

// wake wakes all that wait in Next.
func (c *counter) wake() {
	if c.waiters > 0 {
		close(c.bell)
		c.bell = make(chan struct{})
		c.waiters = 0
	}
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

// quit takes a delivery off its lane's count for good. A lane that has a pace stays for as long as its next delivery would
// have to wait.
func (j *Journal) quit(n *lane) {
	if n.refs--; n.refs > 0 {
		return
	}
	if c := j.counters[n.side]; n.pace > 0 && n.until > j.running() && c != nil {
		c.rest(n)
		return
	}
	j.forgetLane(n)
}

// forgetLane lets go of a lane, unless another one has its name by now: that one's order must be kept.
func (j *Journal) forgetLane(n *lane) {
	if key := (laneKey{n.side, n.name}); j.lanes[key] == n {
		delete(j.lanes, key)
	}
}

// queueUp puts a delivery (back) into its lane and shows the lane.
func (j *Journal) queueUp(l *leg) {
	l.stand = waiting
	l.lane.put(l)
	j.show(l.lane)
}

// show puts a lane that has deliveries into its side's turns, or among those that back off.
func (j *Journal) show(n *lane) {
	c := j.counters[n.side]
	if n.ready || n.empty() || c == nil {
		return
	}
	if n.until > j.running() {
		c.rest(n)
		c.wake() // whoever waits must look at the time again
		return
	}
	c.push(n)
	c.wake()
}

// rest puts a lane among those that back off.
func (c *counter) rest(n *lane) {
	if !n.rests {
		n.rests = true
		heap.Push(&c.backing, resting{n, n.until})
	}
}

// thaw shows the lanes whose time has come and tells when the next one's may; 0: none backs off.
func (j *Journal) thaw(c *counter, now int64) (next int64) {
	for len(c.backing) > 0 && c.backing[0].until <= now {
		n := heap.Pop(&c.backing).(resting).lane
		n.rests = false
		switch {
		case n.until > now: // it was made to wait longer since
			c.rest(n)
		case n.refs == 0: // it was only kept for its pace, or has gone already
			j.forgetLane(n)
		case !n.ready && !n.empty():
			c.push(n)
		}
	}
	if len(c.backing) == 0 {
		return 0
	}
	return c.backing[0].until
}

// resting is a lane that backs off, and until when as far as that was known.
type resting struct {
	lane  *lane
	until int64
}

// restings is a heap, the first to wake on top.
type restings []resting

func (r restings) Len() int           { return len(r) }
func (r restings) Less(i, j int) bool { return r[i].until < r[j].until }
func (r restings) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *restings) Push(x any)        { *r = append(*r, x.(resting)) }

func (r *restings) Pop() any {
	old := *r
	last := old[len(old)-1]
	old[len(old)-1] = resting{}
	*r = old[:len(old)-1]
	return last
}

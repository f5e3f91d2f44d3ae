package journal

import (
	"slices"
	"sort"

	"chatrelay/bridge"
)

// lane keeps the order of legs from one sender to one destination. Guarded by Journal.mu.
type lane struct {
	side  bridge.SideID
	name  string
	refs  int    // legs that belong to it and are not gone; at 0 the lane goes
	legs  []*leg // waiting, by seq, from head on
	head  int
	until int64 // ms: backing off
	ready bool  // in its side's turns
	rests bool  // in its side's list of those that back off
}

type laneKey struct {
	side bridge.SideID
	name string
}

func (n *lane) empty() bool { return n.head == len(n.legs) }

// put adds a leg in its place: at the end when it is new, near the front when it is given back.
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

// take removes and returns the oldest leg.
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

// remove takes a leg out of the middle; false: it is not there.
func (n *lane) remove(l *leg) bool {
	at := n.find(l.seq)
	if at == len(n.legs) || n.legs[at] != l {
		return false
	}
	n.legs = slices.Delete(n.legs, at, at+1)
	return true
}

// find is the index of the first waiting leg that is not older than seq.
func (n *lane) find(seq uint64) int {
	return n.head + sort.Search(len(n.legs)-n.head, func(i int) bool { return n.legs[n.head+i].seq >= seq })
}

// counter holds the lanes of one side that have something to hand out, in turn. Guarded by Journal.mu.
type counter struct {
	turns                 // of the lanes that are ready
	backing []*lane       // have legs, and back off
	due     int64         // ms: nothing in backing is due before this
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

// lane finds or makes the lane of a leg that is being made; the leg counts from then on.
func (j *Journal) lane(side bridge.SideID, name string) *lane {
	key := laneKey{side, name}
	n := j.lanes[key]
	if n == nil {
		n = &lane{side: side, name: name}
		j.lanes[key] = n
	}
	n.refs++
	return n
}

// quit takes a leg off its lane's count for good.
func (j *Journal) quit(n *lane) {
	if n.refs--; n.refs == 0 {
		delete(j.lanes, laneKey{n.side, n.name})
	}
}

// queueUp puts a leg (back) into its lane and shows the lane.
func (j *Journal) queueUp(l *leg) {
	l.stand = waiting
	l.lane.put(l)
	j.show(l.lane)
}

func (j *Journal) show(n *lane) {
	c := j.counters[n.side]
	if n.ready || n.empty() || c == nil {
		return
	}
	if n.until > j.nowMS() {
		if !n.rests {
			n.rests = true
			c.backing = append(c.backing, n)
		}
		if len(c.backing) == 1 || n.until < c.due {
			c.due = n.until
		}
		c.wake() // whoever waits must look at the time again
		return
	}
	c.push(n)
	c.wake()
}

// thaw shows the lanes whose time has come and tells when the next one's may; 0: none backs off.
func (c *counter) thaw(now int64) (next int64) {
	if len(c.backing) == 0 || now < c.due {
		return c.nextDue()
	}
	kept := c.backing[:0]
	c.due = 0
	for _, n := range c.backing {
		if n.until > now {
			kept = append(kept, n)
			if c.due == 0 || n.until < c.due {
				c.due = n.until
			}
			continue
		}
		n.rests = false
		if !n.ready && !n.empty() {
			c.push(n)
		}
	}
	clear(c.backing[len(kept):])
	c.backing = kept
	return c.nextDue()
}

func (c *counter) nextDue() int64 {
	if len(c.backing) == 0 {
		return 0
	}
	return c.due
}

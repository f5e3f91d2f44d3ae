package journal

import (
	"strings"
	"unique"

	"chatrelay/internal/journal/picture"
)

// Everything that waits costs memory, whatever its size in the file. So the journal is also full when too much
// waits: MaxPending counts deliveries, those of answers too, for a message to a large group costs as much as many
// messages. Beyond it nothing new is taken; what a delivery needs to be closed (its notice, its receipt) still is.

const (
	delayedMost = 500 // notices of "delayed" made at once: the watch asks twice a second
	reserve     = reservePart
)

// addWaiting counts a delivery that has been given its lane: against MaxPending, and in the shares.
func (j *Journal) addWaiting(d *delivery) {
	d.waiting = true
	j.waiting++
	j.shares.add(d)
}

// removeWaiting takes a delivery off these counts and its lane's for good.
func (j *Journal) removeWaiting(d *delivery) {
	d.waiting = false
	j.waiting--
	j.shares.remove(d)
	j.unref(d.lane)
}

// crowds tells whether so many deliveries more are too many. One message that is larger than the limit passes
// while nothing waits.
func (d *decision) crowds(n int) bool {
	waiting, most := d.j.waiting+d.waiting, d.j.opt.MaxPending
	return most > 0 && waiting > 0 && waiting+n > most
}

// crowdsReserve is the same for answers that nobody paid for.
func (j *Journal) crowdsReserve(n int) bool {
	most := j.opt.MaxPending
	return most > 0 && j.waiting+n > most+most/reserve
}

// uncrowd lets messages in again once a fifth of the limit is free.
func (j *Journal) uncrowd() {
	if s := &j.space; s.crowded && (j.waiting == 0 || j.waiting*100 < j.opt.MaxPending*reopenPart) {
		s.crowded = false
	}
}

// overdue takes the next messages whose senders are to be told that they wait, oldest first. With the reserve at its
// end it takes none: they are told later, or of the outcome.
func (j *Journal) overdue(before int64) (late []*picture.Message) {
	n := 0
	for ; n < j.undelayed.Len() && j.undelayed.At(n).Ran <= before && len(late) < delayedMost && !j.crowdsReserve(len(late)+1); n++ {
		if m := j.undelayed.At(n); m.Pending() && !m.Delayed {
			late = append(late, m)
		}
	}
	j.undelayed.Drop(n)
	return late
}

// part gives a text that the lane's name begins or ends with as a part of that name, so that what waits does not
// keep its names twice; any other text is kept once for all.
func (n *lane) part(s string) string {
	switch {
	case s == "":
		return ""
	case strings.HasSuffix(n.name, s):
		return n.name[len(n.name)-len(s):]
	case strings.HasPrefix(n.name, s):
		return n.name[:len(s)]
	}
	return unique.Make(s).Value() // one copy of names that come again and again, of nothing they were cut from
}

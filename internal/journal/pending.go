package journal

import (
	"encoding/json"
	"strings"

	"chatrelay/bridge"
)

// Everything that waits costs memory, whatever its size in the file. So the journal is also full when too much
// waits: MaxPending counts deliveries, those of answers too, for a message to a large group costs as much as many
// messages. Beyond it nothing new is taken; what a delivery needs to be closed (its notice, its receipt) still is.

const (
	delayedMost = 500 // notices of "delayed" made at once: the watch asks twice a second
	reserve     = reservePart
)

// hold counts a delivery that has been given its lane: against MaxPending, and in the shares.
func (j *Journal) hold(l *leg) {
	j.held++
	j.shares.add(l)
}

// unhold takes a delivery off these counts and its lane's for good.
func (j *Journal) unhold(l *leg) {
	j.held--
	j.shares.remove(l)
	j.quit(l.lane)
}

// crowds tells whether so many deliveries more are too many. One message that is larger than the limit passes
// while nothing waits.
func (j *Journal) crowds(n int) bool {
	most := j.opt.MaxPending
	return most > 0 && j.held > 0 && j.held+n > most
}

// crowdsReserve is the same for answers that nobody paid for.
func (j *Journal) crowdsReserve(n int) bool {
	most := j.opt.MaxPending
	return most > 0 && j.held+n > most+most/reserve
}

// uncrowd lets messages in again once a fifth of the limit is free.
func (j *Journal) uncrowd() {
	if s := &j.space; s.crowded && (j.held == 0 || j.held*100 < j.opt.MaxPending*reopenPart) {
		s.crowded = false
	}
}

// late takes the next messages whose senders are to be told that they wait, oldest first. With the reserve at its
// end it takes none: they are told later, or of the outcome.
func (j *Journal) late(before int64) (late []*letter) {
	n := 0
	for ; n < j.young.len() && j.young.at(n).born <= before && len(late) < delayedMost && !j.crowdsReserve(len(late)+1); n++ {
		if m := j.young.at(n); m.pending() && !m.book.delayed {
			late = append(late, m)
		}
	}
	j.young.drop(n)
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
	return intern(s)
}

// forget lets go of an answer that is closed; a message may have many in its time.
func (m *letter) forget(l *leg) {
	for i, x := range m.legs[m.mail:] {
		if x == l {
			at := int(m.mail) + i
			m.legs = append(m.legs[:at], m.legs[at+1:]...)
			return
		}
	}
}

// noteMemory keeps one copy of notes that come one after the other: those of one commit, or one message, are equal.
type noteMemory struct {
	text string
	last *bridge.Note
}

func (c *noteMemory) keep(n bridge.Note) *bridge.Note {
	if c.last == nil || *c.last != n {
		c.text, c.last = "", &n
	}
	return c.last
}

// read makes a note of its text in the file.
func (c *noteMemory) read(text string) (*bridge.Note, error) {
	if c.last == nil || c.text != text {
		n := &bridge.Note{}
		if err := json.Unmarshal([]byte(text), n); err != nil {
			return nil, err
		}
		c.text, c.last = text, n
	}
	return c.last, nil
}

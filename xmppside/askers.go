package xmppside

import (
	"cmp"
	"time"
)

// What others may have of us in answers, lest their questions take the place of messages.
const (
	askedEach   = 10  // answers a second to one asker
	contactEach = 40  // the same of a component, whose many contacts one client asks at its login
	askedAll    = 100 // and to all
	mostReplies = 64  // that are not acknowledged; beyond it nobody but our own server is answered
	ownReplies  = 256 // and our own server neither
)

// asker is who asks: one account, or one occupant of a room.
type asker struct {
	name string
	self bool // we ourselves, through a room (XEP-0410)
}

// askers bounds how many answers somebody is given. It is used by one goroutine.
type askers struct {
	since time.Time // the second that is counted
	each  int       // 0: askedEach
	given map[string]int
	all   int
}

// allow tells whether somebody may be given one more answer.
func (a *askers) allow(name string) bool {
	if now := time.Now(); a.given == nil || now.Sub(a.since) >= time.Second {
		a.since, a.given, a.all = now, map[string]int{}, 0
	}
	if a.all >= askedAll || a.given[name] >= cmp.Or(a.each, askedEach) {
		return false
	}
	a.all++
	a.given[name]++
	return true
}

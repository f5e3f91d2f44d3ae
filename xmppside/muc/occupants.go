package muc

import (
	"slices"

	"chatrelay/xmppside/stanza"
)

// occupants are who a room has told us of. Each message for a room asks for its sender's own: so they are also found by address. Guarded by
// rooms.mu.
type occupants struct {
	landline func(bare string) bool

	real   map[string]string   // by nick
	nicks  map[string][]string // by real bare address
	seated int                 // nicks of landlines
}

func newOccupants(landline func(bare string) bool) occupants {
	return occupants{landline: landline, real: map[string]string{}, nicks: map[string][]string{}}
}

// put says who sits behind a nick.
func (o *occupants) put(nick, real string) {
	o.remove(nick)
	bare := stanza.Bare(real)
	o.real[nick] = real
	o.nicks[bare] = append(o.nicks[bare], nick)
	if o.landline(bare) {
		o.seated++
	}
}

// remove tells whether there was one.
func (o *occupants) remove(nick string) bool {
	real, known := o.real[nick]
	if !known {
		return false
	}
	bare := stanza.Bare(real)
	delete(o.real, nick)
	if left := slices.DeleteFunc(o.nicks[bare], func(n string) bool { return n == nick }); len(left) > 0 {
		o.nicks[bare] = left
	} else {
		delete(o.nicks, bare)
	}
	if o.landline(bare) {
		o.seated--
	}
	return true
}

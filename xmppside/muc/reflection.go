package muc

import (
	"hash/maphash"
	"slices"
	"time"

	"chatrelay/xmppside/stanza"
)

// Sum is what a body is compared by.
func (p *Posts) Sum(body []byte) uint64 { return maphash.Bytes(p.seed, body) }

// Reflected looks whether a message is a post of ours that its room hands out to all, us too, now or as its history.
func (p *Posts) Reflected(e *stanza.Element) {
	from := e.Get("from")
	room, nick := stanza.Bare(from), stanza.Resource(from)
	if e.Get("type") != "groupchat" {
		return
	}
	if e.Child(stanza.NSClient, "body") == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r := p.byRoom[room]; r != nil && e.Child(stanza.NSClient, "subject") != nil {
			r.recounts = time.Time{} // the history ends there
		}
		return
	}
	who, served := p.rooms.Speaker(room, nick)
	if !served || nick == "" || !who.Self && !who.Ours && who.Real != "" && !stanza.Stamped(e) { // it may be from before our seat or nick
		return
	}
	who.Ours = who.Ours && !stanza.Stamped(e) // the nick may have been another's then
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	if i := p.match(r, e, who); i >= 0 {
		p.settle(r, i)
	}
}

// match finds the open post that a message is: by an id, or by the body of one that is said under our nick and has no id
// of ours. p.mu is held.
func (p *Posts) match(r *roomPosts, e *stanza.Element, who Occupant) int {
	i := r.named(e)
	if i < 0 && (who.Self || who.Ours) && !p.rooms.Echoes(e, r.jid) {
		as := ""
		if !who.Self {
			as = stanza.Bare(who.Real)
		}
		i = r.alike(e, as, p.Sum)
	}
	return i
}

// named finds an open post by its id, which the origin-id has too: some rooms give messages ids of their own.
func (r *roomPosts) named(e *stanza.Element) int {
	for _, id := range []string{e.Get("id"), e.Child(stanza.NSStanzaID, "origin-id").AttrOr("id")} {
		if i := slices.IndexFunc(r.open, func(x *post) bool { return x.tag.ID == id }); i >= 0 {
			return i
		}
	}
	return -1
}

// alike finds the oldest open post of an occupant with the same body: some rooms drop both ids.
func (r *roomPosts) alike(e *stanza.Element, as string, sumOf func([]byte) uint64) int {
	bodies := e.All(stanza.NSClient, "body")
	if len(bodies) != 1 {
		return -1
	}
	sum := sumOf([]byte(bodies[0].Text))
	return slices.IndexFunc(r.open, func(x *post) bool { return x.stage != stageLeaving && x.tag.Sum == sum && x.tag.As == as })
}

// Echoes tells whether a room message bears an id of ours.
func (rs *Rooms) Echoes(e *stanza.Element, room string) bool {
	for _, id := range []string{e.Get("id"), e.Child(stanza.NSStanzaID, "origin-id").AttrOr("id")} {
		if rs.cfg.Ours(id, room) {
			return true
		}
	}
	return false
}

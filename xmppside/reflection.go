package xmppside

import (
	"hash/maphash"
	"slices"
	"time"

	"chatrelay/xmppside/stanza"
)

// sum is what a body is compared by.
func (p *posts) sum(body []byte) uint64 { return maphash.Bytes(p.seed, body) }

// reflected looks whether a message is a post of ours that its room hands out to all, us too, now or as its history.
func (p *posts) reflected(e *stanza.Element) {
	from := e.Get("from")
	room, nick := stanza.Bare(from), stanza.Resource(from)
	if e.Get("type") != "groupchat" {
		return
	}
	if e.Child(stanza.NSClient, "body") == nil {
		p.toldSubject(room, e)
		return
	}
	who, served := p.s.rooms.speaker(room, nick)
	if !served || nick == "" || !who.self && who.real != "" && !stamped(e) { // it may be from before our seat or nick
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	if i := p.match(r, e, who.self); i >= 0 {
		p.settle(r, i)
	}
}

// toldSubject ends a room's history.
func (p *posts) toldSubject(room string, e *stanza.Element) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.byRoom[room]; r != nil && e.Child(stanza.NSClient, "subject") != nil {
		r.recounts = time.Time{}
	}
}

// match finds the open post that a message is: by an id, or by the body of one that is said under our nick and has no id
// of ours. p.mu is held.
func (p *posts) match(r *roomPosts, e *stanza.Element, self bool) int {
	i := r.named(e)
	if i < 0 && self && !p.s.echoes(e, r.jid) {
		i = p.alike(r, e)
	}
	return i
}

// named finds an open post by its id, which the origin-id has too: some rooms give messages ids of their own.
func (r *roomPosts) named(e *stanza.Element) int {
	for _, id := range []string{e.Get("id"), e.Child(stanza.NSStanzaID, "origin-id").AttrOr("id")} {
		if i := slices.IndexFunc(r.open, func(x *post) bool { return x.tag.id == id }); i >= 0 {
			return i
		}
	}
	return -1
}

// alike finds the oldest open post with the same body: some rooms drop both ids.
func (p *posts) alike(r *roomPosts, e *stanza.Element) int {
	bodies := e.All(stanza.NSClient, "body")
	if len(bodies) != 1 {
		return -1
	}
	sum := p.sum([]byte(bodies[0].Text))
	return slices.IndexFunc(r.open, func(x *post) bool { return x.stage != stageLeaving && x.tag.sum == sum })
}

// echoes tells whether a room message bears an id of ours.
func (s *Side) echoes(e *stanza.Element, room string) bool {
	for _, id := range []string{e.Get("id"), e.Child(stanza.NSStanzaID, "origin-id").AttrOr("id")} {
		if _, ours := s.ids.ref(id, room); ours {
			return true
		}
	}
	return false
}

// stamped tells whether a message says when it was sent (XEP-0203).
func stamped(e *stanza.Element) bool {
	return e.Child(stanza.NSDelay, "delay") != nil || e.Child(stanza.NSOldDelay, "x") != nil
}

package muc

// open lets posts to a room leave.
func (p *Posts) open(room string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.byRoom[room]; r != nil {
		r.left = false
		return
	}
	p.byRoom[room] = &roomPosts{jid: room}
}

// close lets no more posts to a room leave, if none is on its way. What the room has not reflected when it is late goes
// back to the journal.
func (p *Posts) close(room string, late bool) bool {
	p.mu.Lock()
	r := p.byRoom[room]
	for _, x := range r.open {
		if x.stage < stageAcked || x.stage == stageAcked && !late {
			p.mu.Unlock()
			return false
		}
	}
	for _, x := range r.open {
		x.stage, x.maybe = stageSearched, true
	}
	r.left = true
	p.mu.Unlock()
	p.requeueSearched(room)
	return true
}

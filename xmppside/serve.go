package xmppside

import (
	"context"
	"maps"
	"slices"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

const (
	retireWithin = 10 * time.Second // for the reflections of what a room was sent that is no longer served
	outWithin    = 5 * time.Second  // for the room's goodbye
	retireTick   = 100 * time.Millisecond
)

// Serve changes, while the side runs, which rooms are served and which landlines have a row of the identity table.
// New rooms are joined. One that is gone gets no more posts; it is left once it has reflected those that it was sent.
// A post that still waits for it is a dead letter, as after a restart. It may be called from any goroutine.
func (s *Side) Serve(rooms []string, identity map[string]string) {
	s.addr.change(identity)
	s.rooms.serve(rooms)
}

// serve needs no lock of its caller's.
func (rs *rooms) serve(wanted []string) {
	rs.mu.Lock()
	now := maps.Clone(*rs.set.Load())
	for _, j := range wanted {
		if r := now[j]; r != nil {
			r.closing = false
			continue
		}
		rs.posts.open(j)
		now[j] = &room{jid: j, people: map[string]string{}}
	}
	for j, r := range now {
		r.closing = r.closing || !slices.Contains(wanted, j)
	}
	rs.set.Store(&now)
	rs.mu.Unlock()
	for _, r := range now {
		r.changed.Wake()
	}
	rs.served.Wake()
}

// at is the room of that address; nil: it is none of ours. It needs no lock.
func (rs *rooms) at(j string) *room { return (*rs.set.Load())[j] }

// all are the rooms by address, those that are being left among them. It needs no lock, and is not to be changed.
func (rs *rooms) all() map[string]*room { return *rs.set.Load() }

// serves tells whether posts for a room are taken.
func (rs *rooms) serves(j string) bool {
	r := rs.at(j)
	return r != nil && !rs.closing(r)
}

func (rs *rooms) closing(r *room) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return r.closing
}

// keepNew sits in the rooms that come to be served while the login lasts.
func (rs *rooms) keepNew(c *login, kept map[*room]bool) {
	ctx := c.l.Context()
	for ctx.Err() == nil {
		change := rs.served.Wait()
		for _, r := range rs.all() {
			if !kept[r] {
				kept[r] = true
				c.wg.Go(func() { r.keep(rs, c, func() {}) }) // ends with the connection
			}
		}
		select {
		case <-change:
		case <-ctx.Done():
		}
	}
}

// rest waits before the next attempt at a room, but not longer than the room is served.
func (r *room) rest(ctx context.Context, rs *rooms, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		change := r.changed.Wait()
		if rs.closing(r) {
			return
		}
		select {
		case <-change:
		case <-t.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// retire leaves a room that is no longer served. false: it is served again, or the login has ended.
func (r *room) retire(ctx context.Context, rs *rooms, c *login) bool {
	for late := time.Now().Add(retireWithin); !rs.posts.shut(r.jid, time.Now().After(late)); {
		if !wait.Pause(ctx, retireTick) || !rs.closing(r) {
			return false
		}
	}
	if nick := rs.nick(r.jid); nick != "" {
		if c.write(leavePresence(r.jid+"/"+nick)) != nil {
			return false
		}
		r.awaitOut(ctx, rs)
	}
	if !rs.remove(r) {
		return false // it is joined again
	}
	rs.s.log.Info().Str("room", r.jid).Msg("the room is no longer served: left")
	return true
}

// remove takes a room out of the set, unless it is served again.
func (rs *rooms) remove(r *room) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if !r.closing {
		return false
	}
	if rows := r.clear(); len(rows) > 0 {
		rs.s.journal.SetState(bridge.XMPP, rows...)
	}
	now := maps.Clone(*rs.set.Load())
	delete(now, r.jid)
	rs.set.Store(&now)
	return true
}

// awaitOut waits until the room has said that we are out: Prosody tells less to who joins again before that.
func (r *room) awaitOut(ctx context.Context, rs *rooms) {
	limit := time.NewTimer(outWithin)
	defer limit.Stop()
	for {
		change := r.changed.Wait()
		if rs.nick(r.jid) == "" {
			return
		}
		select {
		case <-change:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// open lets posts to a room leave.
func (p *posts) open(room string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.byRoom[room]; r != nil {
		r.shut = false
		return
	}
	p.byRoom[room] = &roomPosts{jid: room}
}

// shut lets no more posts to a room leave, if none is on its way. What the room has not reflected when it is late goes
// back to the journal.
func (p *posts) shut(room string, late bool) bool {
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
	r.shut = true
	p.mu.Unlock()
	p.requeueSearched(room)
	return true
}

package muc

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
	retireTick   = 100 * time.Millisecond
)

// Serve changes which rooms are served. New ones are joined. One that is gone gets no more posts; it is left once it has
// reflected those that it was sent. Those to which we were invited are served as well. It may be called from any goroutine.
func (rs *Rooms) Serve(configured []string) {
	rs.mu.Lock()
	rs.Invitations.configured = configured
	looks := serve(rs)
	rs.mu.Unlock()
	looks()
}

// serve has the rooms served that are configured, or invited to, by now, and no others. It needs rooms.mu; what it returns has the rooms
// look at that, and needs none.
func serve(rs *Rooms) (looks func()) {
	wanted := append(slices.Clone(rs.Invitations.configured), slices.Collect(maps.Keys(rs.Invitations.by))...)
	now := maps.Clone(*rs.set.Load())
	for _, j := range wanted {
		if r := now[j]; r != nil {
			r.closing = false
			continue
		}
		rs.Posts.open(j)
		now[j] = &room{jid: j, people: newOccupants(rs.cfg.landline)}
	}
	for j, r := range now {
		r.closing = r.closing || !slices.Contains(wanted, j)
	}
	rs.set.Store(&now)
	return func() {
		for _, r := range now {
			r.changed.Wake()
		}
		rs.served.Wake()
	}
}

// Serves tells whether posts for a room are taken.
func (rs *Rooms) Serves(j string) bool {
	r := rs.at(j)
	return r != nil && !rs.closing(r)
}

func (rs *Rooms) closing(r *room) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return r.closing
}

// runNew sits in the rooms that come to be served while the login lasts.
func (rs *Rooms) runNew(c Login, resumed bool, running map[*room]bool) {
	ctx := c.Context()
	for ctx.Err() == nil {
		change := rs.served.Wait()
		for _, r := range rs.all() {
			if !running[r] {
				running[r] = true
				c.Go(func() { r.run(rs, c, resumed, func() {}) }) // ends with the connection
			}
		}
		select {
		case <-change:
		case <-ctx.Done():
		}
	}
}

// pause waits before the next attempt at a room, but not longer than the room is served.
func (r *room) pause(ctx context.Context, rs *Rooms, d time.Duration) {
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
func (r *room) retire(ctx context.Context, rs *Rooms, c Login) bool {
	for late := time.Now().Add(retireWithin); !rs.Posts.close(r.jid, time.Now().After(late)); {
		if !wait.Pause(ctx, retireTick) || !rs.closing(r) {
			return false
		}
	}
	for _, leave := range rs.Seats.leaveAll(r.jid) {
		if c.Write(leave) != nil {
			return false
		}
	}
	if nick := rs.Nick(r.jid); nick != "" {
		if c.Write(leavePresence(r.jid+"/"+nick)) != nil {
			return false
		}
		r.awaitOut(ctx, func() bool { return rs.Nick(r.jid) == "" })
	}
	if !rs.remove(r) {
		return false // it is joined again
	}
	rs.cfg.Log.Info().Str("room", r.jid).Msg("the room is no longer served: left")
	return true
}

// remove takes a room out of the set, unless it is served again.
func (rs *Rooms) remove(r *room) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if !r.closing {
		return false
	}
	rs.cfg.Journal.SetState(bridge.XMPP, append(r.clear(), bridge.StateRow{Key: keyMembers + r.jid})...)
	now := maps.Clone(*rs.set.Load())
	delete(now, r.jid)
	rs.set.Store(&now)
	return true
}

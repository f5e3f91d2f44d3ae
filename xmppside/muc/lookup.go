package muc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

const (
	verifyWithin = time.Second // a journal that cannot write says nothing; what is not forgotten is when it leaves again
	lookUpWithin = 15 * time.Second

	recountsFor = 30 * time.Second // at most: not every room ends its history with a subject
)

// What a room did not reflect when the stream, or our seat in the room, was lost is looked for: in the history that
// comes with the next join, and in the room's archive. What is found is settled, the rest is sent again. Nothing else
// is posted there meanwhile, as it would come before.

// Restored takes a post that was bound when the process before ended.
func (p *Posts) Restored(l *Post, at time.Time, resumable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := &post{tag: l, stage: stageSent, at: at, since: time.Now()}
	if !resumable {
		x.stage, x.maybe = stageSearched, true
	}
	r := p.byRoom[l.To]
	r.open = append(r.open, x)
}

// Lose notes that the stream which carried a post is lost.
func (p *Posts) Lose(l *Post, maybe bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, i := p.find(l); i >= 0 {
		r.open[i].stage, r.open[i].maybe = stageSearched, maybe
	}
}

// Verify forgets the posts whose binding was not committed: the stream has forgotten them, and the journal has them back.
func (p *Posts) Verify() {
	p.mu.Lock()
	var doubtful []*post
	for _, r := range p.byRoom {
		for _, x := range r.open {
			if x.stage == stageSent && x.ticket > 0 {
				doubtful = append(doubtful, x)
			}
		}
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), verifyWithin)
	defer cancel()
	for _, x := range doubtful {
		if p.cfg.Journal.Wait(ctx, x.ticket) != nil && ctx.Err() == nil {
			p.Forget(x.tag)
		}
	}
}

// searching tells whether there is something to look for in a room.
func (p *Posts) searching(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.byRoom[room].open, func(x *post) bool { return x.stage == stageSearched })
}

// beginSearch is asked before a join. Without a seat until now, all that was sent is to be looked for. It says since when the
// history is wanted; zero: not at all.
func (p *Posts) beginSearch(room string, seatless bool) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	r.silent = false // the join will tell
	for _, x := range r.open {
		if seatless && (x.stage == stageSent || x.stage == stageAcked) {
			x.stage, x.maybe = stageSearched, x.refused == nil
		}
	}
	since := r.searchedSince()
	r.recounts = time.Time{}
	switch {
	case since.IsZero():
		r.untold = false
	case r.untold:
		return time.Time{}
	default:
		r.recounts = time.Now().Add(recountsFor)
	}
	return since
}

// searchedSince is when the oldest that is looked for left, by a clock that may not be the server's.
func (r *roomPosts) searchedSince() (since time.Time) {
	for _, x := range r.open {
		if x.stage == stageSearched && (since.IsZero() || x.at.Before(since)) {
			since = x.at
		}
	}
	if since.IsZero() {
		return since
	}
	return since.Add(-stanza.Skew)
}

// Recounting tells whether a room may still be telling its history. The subject comes behind that (XEP-0045 §7.2.15).
func (p *Posts) Recounting(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	return r != nil && time.Now().Before(r.recounts)
}

// TooLarge is given what was read of a message before the connection ended over it: of a room's history it would come again
// with the next one.
func (p *Posts) TooLarge(e *stanza.Element) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[stanza.Bare(e.Get("from"))]
	if r != nil && e.Get("type") == "groupchat" && time.Now().Before(r.recounts) {
		r.untold = true
	}
}

// lookUp asks the room's archive for what the history did not have, and gives the rest back to the journal. It is called
// once we are in the room; an error: it is to be called again.
func (p *Posts) lookUp(ctx context.Context, c Login, room string) error {
	p.mu.Lock()
	since := p.byRoom[room].searchedSince()
	p.mu.Unlock()
	if since.IsZero() {
		return nil
	}
	if err := p.searchArchive(ctx, c, room, since); err != nil {
		return fmt.Errorf("the room does not say what it has of us: %w", err) // so nothing is sent again
	}
	p.requeueSearched(room) // without an archive, what it said came behind the history all the same
	p.cfg.Archives.RoomDone(room)
	return nil
}

// searchArchive looks at what a room's archive has since a time. An error: it said nothing of it.
func (p *Posts) searchArchive(ctx context.Context, c Login, room string, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	spoke := false
	err := p.cfg.Archives.Room(ctx, c, room, since, func(msg *stanza.Element) bool {
		spoke = true
		p.matchArchived(room, msg)
		return p.searching(room)
	})
	if stanza.IsAnswer(err) || spoke && c.Context().Err() == nil {
		return nil
	}
	return err
}

// matchArchived looks at a message that the room has.
func (p *Posts) matchArchived(room string, msg *stanza.Element) {
	if msg == nil || msg.Get("type") != "groupchat" || stanza.Bare(msg.Get("from")) != room {
		return
	}
	who, _ := p.rooms.Speaker(room, stanza.Resource(msg.Get("from")))
	who.Ours = false // the nick may have been another's then
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	if i := p.match(r, msg, who); i >= 0 {
		p.settle(r, i)
	}
}

// requeueSearched gives back to the journal what was looked for in vain.
func (p *Posts) requeueSearched(room string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	r.recounts, r.untold = time.Time{}, false
	var found []bridge.Ref
	maybe := 0
	for _, x := range r.open {
		if x.stage != stageSearched {
			continue
		}
		if found = append(found, x.tag.Ref); x.maybe {
			maybe++
		}
	}
	if len(found) == 0 {
		return
	}
	r.open = slices.DeleteFunc(r.open, func(x *post) bool { return x.stage == stageSearched })
	if maybe > 0 {
		p.cfg.Journal.Count(bridge.XMPP, bridge.MaybeDuplicate, maybe)
	}
	p.cfg.Journal.Unbind(found...)
	p.cfg.Side.Requeued()
	p.cfg.Log.Warn().Str("room", room).Int("posts", len(found)).Int("maybe_duplicate", maybe).
		Msg("the room does not have what it had not reflected when it was lost: it is sent again")
}

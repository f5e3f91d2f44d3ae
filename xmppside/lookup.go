package xmppside

import (
	"context"
	"fmt"
	"slices"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
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

// restored takes a post that was bound when the process before ended.
func (p *posts) restored(l *outgoing, resumable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := &post{tag: l, stage: stageSent, at: l.binding.at, since: time.Now()}
	if !resumable {
		x.stage, x.maybe = stageSearched, true
	}
	r := p.byRoom[l.to]
	r.open = append(r.open, x)
}

// lose notes that the stream which carried a post is lost.
func (p *posts) lose(l *outgoing, maybe bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, i := p.find(l); i >= 0 {
		r.open[i].stage, r.open[i].maybe = stageSearched, maybe
	}
}

// takeLost takes from the stream what it has lost. Room posts are looked for in their rooms, the rest is returned.
func (s *Side) takeLost() (rest []sm.Stanza) {
	for _, x := range s.st.Lost() {
		l := x.Tag.(*outgoing)
		if !l.room {
			rest = append(rest, x)
			continue
		}
		s.rooms.posts.lose(l, x.Maybe)
		delete(s.poison.buried, l.ref)
	}
	s.rooms.posts.verify()
	return rest
}

// verify forgets the posts whose binding was not committed: the stream has forgotten them, and the journal has them back.
func (p *posts) verify() {
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
		if p.s.journal.Wait(ctx, x.ticket) != nil && ctx.Err() == nil {
			p.forget(x.tag)
		}
	}
}

// searching tells whether there is something to look for in a room.
func (p *posts) searching(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.byRoom[room].open, func(x *post) bool { return x.stage == stageSearched })
}

// beginSearch is asked before a join. Without a seat until now, all that was sent is to be looked for. It says since when the
// history is wanted; zero: not at all.
func (p *posts) beginSearch(room string, seatless bool) time.Time {
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

// recounting tells whether a room may still be telling its history. The subject comes behind that (XEP-0045 §7.2.15).
func (p *posts) recounting(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	return r != nil && time.Now().Before(r.recounts)
}

// tooLarge is given what was read of a message before the connection ended over it: of a room's history it would come again
// with the next one.
func (p *posts) tooLarge(e *stanza.Element) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[stanza.Bare(e.Get("from"))]
	if r != nil && e.Get("type") == "groupchat" && time.Now().Before(r.recounts) {
		r.untold = true
	}
}

// lookUp asks the room's archive for what the history did not have, and gives the rest back to the journal. It is called
// once we are in the room; an error: it is to be called again.
func (p *posts) lookUp(ctx context.Context, c *login, room string) error {
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
	p.s.archive.RoomDone(room)
	return nil
}

// searchArchive looks at what a room's archive has since a time. An error: it said nothing of it.
func (p *posts) searchArchive(ctx context.Context, c *login, room string, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	spoke := false
	err := p.s.archive.Room(ctx, c, room, since, func(msg *stanza.Element) bool {
		spoke = true
		p.matchArchived(room, msg)
		return p.searching(room)
	})
	if stanza.IsAnswer(err) || spoke && c.l.Context().Err() == nil {
		return nil
	}
	return err
}

// matchArchived looks at a message that the room has.
func (p *posts) matchArchived(room string, msg *stanza.Element) {
	if msg == nil || msg.Get("type") != "groupchat" || stanza.Bare(msg.Get("from")) != room {
		return
	}
	nick := p.s.rooms.nick(room)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	if i := p.match(r, msg, stanza.Resource(msg.Get("from")) == nick); i >= 0 {
		p.settle(r, i)
	}
}

// requeueSearched gives back to the journal what was looked for in vain.
func (p *posts) requeueSearched(room string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[room]
	r.recounts, r.untold = time.Time{}, false
	var back []bridge.Ref
	maybe := 0
	for _, x := range r.open {
		if x.stage != stageSearched {
			continue
		}
		if back = append(back, x.tag.ref); x.maybe {
			maybe++
		}
	}
	if len(back) == 0 {
		return
	}
	r.open = slices.DeleteFunc(r.open, func(x *post) bool { return x.stage == stageSearched })
	if maybe > 0 {
		p.s.journal.Count(bridge.XMPP, bridge.MaybeDuplicate, maybe)
	}
	p.s.journal.Unbind(back...)
	p.s.requeues(1)
	p.s.log.Warn().Str("room", room).Int("posts", len(back)).Int("maybe_duplicate", maybe).
		Msg("the room does not have what it had not reflected when it was lost: it is sent again")
}

package muc

import (
	"slices"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

// Bounced takes what a room, or a server for it, gave back. An open post is dead with it, unless it may come again.
func (p *Posts) Bounced(b *Bounce) {
	seated := p.rooms.Nick(b.Room) != ""
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byRoom[b.Room]
	i := slices.IndexFunc(r.open, func(x *post) bool { return x.tag.Ref == b.Ref })
	switch {
	case i < 0:
		if !b.Later { // else it left again already, or is about to
			p.cfg.Journal.Bounce(b.Ref, b.Why)
			p.cfg.Side.GaveBack(b)
		}
	case b.Later:
		p.later(r, i)
	case b.Seat && r.open[i].tag.As != "": // the next one is the relay's own
		p.rooms.Seats.unseated(b.Room, r.open[i].tag.As)
		giveBack(p, r, i)
	case b.Seat && seated, b.Gone: // a room that was restarted says so to all it had; the self-ping, or the next join, tells
		x := r.open[i]
		x.stage, x.acked, x.refused = stageAcked, time.Now(), b.Why
		r.next = time.Time{}
	default:
		r.remove(i)
		p.cfg.Journal.Settle(bridge.Result{Ref: b.Ref, Err: b.Why})
		p.cfg.Side.GaveBack(b)
	}
}

// later gives a post back to its lane, and makes the room slow.
func (p *Posts) later(r *roomPosts, i int) {
	now := time.Now()
	giveBack(p, r, i)
	if !now.Before(r.slow) {
		p.cfg.Log.Warn().Str("room", r.jid).Msg("the room takes our posts only slowly: it gets one at a time for an hour")
	}
	if r.slow.Sub(now) < slowFor-time.Minute { // not each time: it is a row of the journal
		r.slow = now.Add(slowFor)
		p.cfg.Journal.SetState(bridge.XMPP, slowRow(r.jid, now))
	}
	if !now.Before(r.heldUntil) { // the rest of a burst says nothing new
		r.heldUntil = now.Add(wait.Jitter(r.waits.Grow(waitDelay, waitCap)))
	}
}

// giveBack gives a post back to its lane. Those of its sender that left behind it overtake it. p.mu is held.
func giveBack(p *Posts, r *roomPosts, i int) {
	x := r.open[i]
	r.remove(i)
	for _, y := range r.open[i:] {
		y.behind = y.behind || y.tag.From == x.tag.From
	}
	p.cfg.Journal.Unbind(x.tag.Ref)
	p.cfg.Side.Requeued()
}

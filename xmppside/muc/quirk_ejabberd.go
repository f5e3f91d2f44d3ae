package muc

import (
	"slices"
	"time"

	"chatrelay/bridge"
)

const (
	dropsAfter   = 10 * time.Second // a room that has reflected nothing for so long, and answers, has dropped a post
	dropsSlowest = time.Minute      // the same of a room that is known to be slow
)

// drop buries those that the room has not reflected though it had time to. ejabberd 23.01 keeps a post back for as long as its
// min_message_interval or its shapers want, and answers pings meanwhile, so an answer alone proves nothing. Seen; it is so by
// design. Tests: TestSelfPing, TestBurst. posts.mu is held.
func (g pinger) drop(r *roomPosts, before []*post, now time.Time) {
	limit := dropsAfter
	if now.Before(r.slow) {
		limit = dropsSlowest
	}
	for _, x := range before {
		i := slices.Index(r.open, x)
		last := x.acked
		if r.heard.After(last) {
			last = r.heard
		}
		switch {
		case i < 0 || x.stage != stageAcked:
		case x.refused != nil: // we are in the room, so it meant the message
			r.remove(i)
			g.p.cfg.Journal.Settle(bridge.Result{Ref: x.tag.Ref, Err: x.refused})
			g.p.cfg.Side.GaveBack(&Bounce{Ref: x.tag.Ref, Why: x.refused, Room: r.jid})
		case now.Sub(last) >= limit:
			g.p.bury(r, i, "the room has taken the message and not passed it on")
		}
	}
}

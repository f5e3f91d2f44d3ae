package xmppside

import (
	"context"
	"errors"
	"slices"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/stanza"
)

const (
	reflectTick  = 250 * time.Millisecond
	pingAfter    = time.Second      // without the reflection of a post that our server has
	pingEvery    = 4 * time.Second  // until it comes
	pingMost     = time.Minute      // while the room does not answer
	dropsAfter   = 10 * time.Second // a room that has reflected nothing for so long, and answers, has dropped a post
	dropsSlowest = time.Minute      // the same of a room that is known to be slow
)

// seat is what a self-ping says (XEP-0410).
type seatState uint8

const (
	seatUnknown seatState = iota // nobody can tell
	seatKept
	seatLost
	seatSilent
)

// selfPing pings ourselves through the room. Whatever the room says comes behind what it said of what was sent before.
func (r *room) selfPing(ctx context.Context, c *login, nick string) (seatState, string) {
	_, err := c.Ask(ctx, r.jid+"/"+nick, "get", "<ping xmlns='"+stanza.NSPing+"'/>")
	var said *stanza.Error
	switch {
	case err == nil:
		return seatKept, ""
	case !errors.As(err, &said):
		return seatSilent, err.Error()
	case stanza.IsCondition(err, "service-unavailable", "feature-not-implemented"):
		return seatKept, "" // the answer is our own
	case stanza.IsCondition(err, "remote-server-not-found", "remote-server-timeout"):
		return seatSilent, said.Condition
	case stanza.IsCondition(err, "item-not-found"):
		return r.missing(ctx, c)
	}
	return seatLost, said.Condition
}

// missing tells what it means that a room knows no such occupant: our nick is another now, or the room itself is gone. A
// server of another domain answers so for a room that it does not have.
func (r *room) missing(ctx context.Context, c *login) (seatState, string) {
	switch err := findRoom(ctx, c.connection, r.jid); {
	case err == nil:
		return seatUnknown, "item-not-found"
	case errors.Is(err, errNoRoom), errors.Is(err, errNotRoom):
		return seatLost, "item-not-found"
	default:
		return seatSilent, err.Error()
	}
}

// watch asks rooms that do not reflect what they were sent, as long as the login lasts.
func (p *posts) watch(ctx context.Context, c *login) {
	for wait.Pause(ctx, reflectTick) {
		for _, j := range p.overdue(time.Now()) {
			room := p.s.rooms.at(j)
			if room == nil { // it was left meanwhile
				p.asked(j, nil, seatUnknown)
				continue
			}
			c.wg.Go(func() { p.ask(ctx, c, room) }) // ends with the connection
		}
	}
}

// overdue are the rooms that are to be asked now.
func (p *posts) overdue(now time.Time) (due []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for j, r := range p.byRoom {
		p.giveUpSilent(r, now)
		if r.asking || r.shut || now.Before(r.next) || !r.waitsSince(now.Add(-pingAfter)) && !r.silent {
			continue
		}
		r.asking = true
		due = append(due, j)
	}
	return due
}

// waitsSince tells whether our server has had a post for so long.
func (r *roomPosts) waitsSince(t time.Time) bool {
	return slices.ContainsFunc(r.open, func(x *post) bool { return x.stage == stageAcked && (x.acked.Before(t) || x.refused != nil) })
}

// giveUpSilent buries what no room says anything of. p.mu is held.
func (p *posts) giveUpSilent(r *roomPosts, now time.Time) {
	for i := 0; i < len(r.open); {
		if x := r.open[i]; x.stage >= stageAcked && now.Sub(x.since) > giveUpAfter {
			p.bury(r, i, "the room did not say within a day whether it has the message")
			continue
		}
		i++
	}
}

func (p *posts) bury(r *roomPosts, i int, why string) {
	x := r.open[i]
	r.remove(i)
	p.s.journal.Settle(bridge.Result{Ref: x.tag.ref, Err: bridge.Refuse("not_reflected", "%s", why)})
	p.s.log.Warn().Str("room", r.jid).Stringer("ref", x.tag.ref).Str("why", why).Msg("dead letter: the room has not reflected it")
}

// ask pings a room behind the posts that it has not reflected.
func (p *posts) ask(ctx context.Context, c *login, room *room) {
	nick := p.s.rooms.nick(room.jid)
	if nick == "" { // it is joined first, and then asked in another way
		p.asked(room.jid, nil, seatUnknown)
		return
	}
	before := p.atServer(room.jid)
	said, why := room.selfPing(ctx, c, nick)
	switch {
	case c.l.Context().Err() != nil: // nothing was said
		before, said = nil, seatUnknown
	case said == seatLost:
		p.s.rooms.lost(room, why)
	}
	p.asked(room.jid, before, said)
}

// atServer are the posts that our server has.
func (p *posts) atServer(room string) (out []*post) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.byRoom[room].open {
		if x.stage == stageAcked {
			out = append(out, x)
		}
	}
	return out
}

// asked takes the answer to a self-ping that was sent behind some posts. ejabberd keeps a post back for as long as its
// min_message_interval or its shapers want, and answers pings meanwhile, so an answer alone proves nothing.
func (p *posts) asked(jid string, before []*post, said seatState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, now := p.byRoom[jid], time.Now()
	r.asking = false
	if said != seatSilent {
		r.next = now.Add(pingEvery)
		r.pings.Reset()
		if r.silent {
			p.s.log.Info().Str("room", jid).Msg("the room answers again")
		}
		r.silent = false
	}
	switch said {
	case seatSilent:
		r.next = now.Add(wait.Jitter(r.pings.Grow(pingEvery, pingMost)))
		if !r.silent {
			p.s.log.Warn().Str("room", jid).Msg("the room does not answer: what it was sent waits, nothing more is sent")
		}
		r.silent = true
	case seatKept, seatUnknown:
		p.drop(r, before, now)
	}
}

// drop buries those that the room has not reflected though it had time to. p.mu is held.
func (p *posts) drop(r *roomPosts, before []*post, now time.Time) {
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
			p.s.journal.Settle(bridge.Result{Ref: x.tag.ref, Err: x.refused})
			p.s.gaveBack(&bounce{ref: x.tag.ref, why: x.refused, room: r.jid})
		case now.Sub(last) >= limit:
			p.bury(r, i, "the room has taken the message and not passed it on")
		}
	}
}

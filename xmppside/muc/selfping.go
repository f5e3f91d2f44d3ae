package muc

import (
	"context"
	"errors"
	"slices"
	"time"

	"chatrelay/internal/wait"
	"chatrelay/xmppside/stanza"
)

const (
	reflectTick = 250 * time.Millisecond
	pingAfter   = time.Second     // without the reflection of a post that our server has
	pingEvery   = 4 * time.Second // until it comes
	pingMost    = time.Minute     // while the room does not answer
)

// seat is what a self-ping says (XEP-0410).
type seatState uint8

const (
	seatUnknown seatState = iota // nobody can tell
	seatHeld
	seatLost
	seatSilent
)

// selfPing pings ourselves through the room. Whatever the room says comes behind what it said of what was sent before.
func (r *room) selfPing(ctx context.Context, c Login, nick string) (seatState, string) {
	_, err := c.Ask(ctx, r.jid+"/"+nick, "get", "<ping xmlns='"+stanza.NSPing+"'/>")
	var refusal *stanza.Error
	switch {
	case err == nil:
		return seatHeld, ""
	case !errors.As(err, &refusal):
		return seatSilent, err.Error()
	case stanza.IsCondition(err, "service-unavailable", "feature-not-implemented"):
		return seatHeld, "" // the answer is our own
	case stanza.IsCondition(err, "remote-server-not-found", "remote-server-timeout"):
		return seatSilent, refusal.Condition
	case stanza.IsCondition(err, "item-not-found"):
		return r.missing(ctx, c)
	}
	return seatLost, refusal.Condition
}

// missing tells what it means that a room knows no such occupant: our nick is another now, or the room itself is gone. A
// server of another domain answers so for a room that it does not have.
func (r *room) missing(ctx context.Context, c Login) (seatState, string) {
	switch err := FindRoom(ctx, c, r.jid); {
	case err == nil:
		return seatUnknown, "item-not-found"
	case errors.Is(err, ErrNoRoom), errors.Is(err, errNotRoom):
		return seatLost, "item-not-found"
	default:
		return seatSilent, err.Error()
	}
}

// pinger asks rooms that do not reflect what they were sent.
type pinger struct{ p *Posts }

// Watch asks rooms that do not reflect what they were sent, as long as the login lasts.
func (p *Posts) Watch(ctx context.Context, c Login) { pinger{p}.watch(ctx, c) }

func (g pinger) watch(ctx context.Context, c Login) {
	for wait.Pause(ctx, reflectTick) {
		for _, j := range g.overdue(time.Now()) {
			room := g.p.rooms.at(j)
			if room == nil { // it was left meanwhile
				g.asked(j, nil, seatUnknown)
				continue
			}
			c.Go(func() { g.ask(ctx, c, room) }) // ends with the connection
		}
	}
}

// overdue are the rooms that are to be asked now.
func (g pinger) overdue(now time.Time) (due []string) {
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	for j, r := range g.p.byRoom {
		g.giveUpSilent(r, now)
		if r.asking || r.left || now.Before(r.next) || !r.waitsSince(now.Add(-pingAfter)) && !r.silent {
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

// giveUpSilent buries what no room says anything of. posts.mu is held.
func (g pinger) giveUpSilent(r *roomPosts, now time.Time) {
	for i := 0; i < len(r.open); {
		if x := r.open[i]; x.stage >= stageAcked && now.Sub(x.since) > giveUpAfter {
			g.p.bury(r, i, "the room did not say within a day whether it has the message")
			continue
		}
		i++
	}
}

// ask pings a room behind the posts that it has not reflected.
func (g pinger) ask(ctx context.Context, c Login, room *room) {
	nick := g.p.rooms.Nick(room.jid)
	if nick == "" { // it is joined first, and then asked in another way
		g.asked(room.jid, nil, seatUnknown)
		return
	}
	before := g.atServer(room.jid)
	seat, why := room.selfPing(ctx, c, nick)
	switch {
	case c.Context().Err() != nil: // nothing was said
		before, seat = nil, seatUnknown
	case seat == seatLost:
		g.p.rooms.lost(room, why)
	}
	g.asked(room.jid, before, seat)
}

// atServer are the posts that our server has.
func (g pinger) atServer(room string) (out []*post) {
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	for _, x := range g.p.byRoom[room].open {
		if x.stage == stageAcked {
			out = append(out, x)
		}
	}
	return out
}

// asked takes the answer to a self-ping that was sent behind some posts.
func (g pinger) asked(jid string, before []*post, seat seatState) {
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	r, now := g.p.byRoom[jid], time.Now()
	r.asking = false
	if seat != seatSilent {
		r.next = now.Add(pingEvery)
		r.pings.Reset()
		if r.silent {
			g.p.cfg.Log.Info().Str("room", jid).Msg("the room answers again")
		}
		r.silent = false
	}
	switch seat {
	case seatSilent:
		r.next = now.Add(wait.Jitter(r.pings.Grow(pingEvery, pingMost)))
		if !r.silent {
			g.p.cfg.Log.Warn().Str("room", jid).Msg("the room does not answer: what it was sent waits, nothing more is sent")
		}
		r.silent = true
	case seatHeld, seatUnknown:
		g.drop(r, before, now)
	}
}

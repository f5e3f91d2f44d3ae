package muc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/stanza"
)

const (
	verifyEvery = time.Minute      // XEP-0410
	joinWithin  = 10 * time.Second // one attempt
	mostNicks   = 9

	roomDelay = 100 * time.Millisecond
	roomCap   = time.Minute
)

// Run sits in all rooms as long as the login lasts. settled is closed once each was tried once.
func (rs *Rooms) Run(c Login, resumed bool) (settled <-chan struct{}) {
	var first sync.WaitGroup
	running := map[*room]bool{}
	for _, r := range rs.all() {
		running[r] = true
		first.Add(1)
		c.Go(func() { r.run(rs, c, resumed, sync.OnceFunc(first.Done)) }) // ends with the connection
	}
	c.Go(func() { rs.runNew(c, resumed, running) }) // so does this
	done := make(chan struct{})
	c.Go(func() { defer close(done); first.Wait() })
	return done
}

// run joins, looks from time to time whether we are still there, and joins again.
func (r *room) run(rs *Rooms, c Login, resumed bool, tried func()) {
	defer tried()
	defer rs.setUncertain(r)
	ctx := c.Context()
	log := rs.cfg.Log.With().Str("room", r.jid).Logger()
	var failures wait.Backoff
	problem, check := "", resumed
	for ctx.Err() == nil {
		if rs.closing(r) {
			if r.retire(ctx, rs, c) {
				return
			}
			continue
		}
		rs.Posts.open(r.jid)
		since := time.Now()
		err := r.ensureJoined(ctx, rs, c, check)
		if err == nil {
			rs.setWhy(r, nil)
			err = r.learn(ctx, rs, c)
		}
		rs.setWhy(r, err)
		tried()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && fix.Shape(err) != problem:
			log.Warn().Err(err).Msg(notInRoom(err))
			problem = fix.Shape(err)
		case err == nil && !check:
			log.Info().Msg("in the room")
			r.warn(rs)
		}
		if err == nil {
			if check, err = r.stay(ctx, rs); check {
				continue
			}
			rs.setUncertain(r)
			if rs.cfg.Side.Leaving() {
				return // the room only says goodbye
			}
			rs.setWhy(r, err)
			if err != nil && fix.Shape(err) != problem {
				log.Warn().Err(err).Msg("no longer in the room; joining again")
				problem = fix.Shape(err)
			}
		}
		check = false
		if time.Since(since) > verifyEvery {
			failures.Reset()
		}
		r.pause(ctx, rs, wait.Jitter(failures.Grow(roomDelay, roomCap)))
	}
}

func notInRoom(err error) string {
	if _, lists := errors.AsType[*listError](err); lists {
		return "in the room, but who belongs to it is not known; asking again"
	}
	return "not in the room; trying again"
}

// ensureJoined makes sure that we are in the room.
func (r *room) ensureJoined(ctx context.Context, rs *Rooms, c Login, check bool) error {
	rs.mu.Lock()
	in, rejoin := r.in, r.rejoin
	r.rejoin = false
	rs.mu.Unlock()
	if in == "" {
		if err := FindRoom(ctx, c, r.jid); err != nil {
			return err
		}
	}
	if in == "" || rejoin || rs.Posts.searching(r.jid) {
		if err := r.join(ctx, rs, c); err != nil {
			return err
		}
		return rs.Posts.lookUp(ctx, c, r.jid)
	}
	if check {
		return r.verify(ctx, rs, c, in)
	}
	return nil
}

// stay waits until we are out of the room (an error), or it is time to look whether we are (true).
func (r *room) stay(ctx context.Context, rs *Rooms) (check bool, gone error) {
	tick := time.NewTimer(verifyEvery)
	defer tick.Stop()
	for {
		change := r.changed.Wait()
		rs.mu.Lock()
		out, suspected, rejoin, why := r.in == "", r.suspected, r.rejoin, r.gone
		closing := r.closing
		r.suspected = false
		rs.mu.Unlock()
		switch {
		case closing:
			return true, nil // on to its end
		case out:
			return false, errors.New(why)
		case rejoin:
			return false, nil
		case suspected:
			return true, nil
		}
		select {
		case <-change:
		case <-tick.C:
			return true, nil
		case <-ctx.Done():
			return false, nil
		}
	}
}

// join asks to be let in, under another nick if ours is taken. Who sits there keeps his nick: another would be a change of
// it, at which the room does not tell who is there.
func (r *room) join(ctx context.Context, rs *Rooms, c Login) error {
	all := nicks(rs.Nick(r.jid), rs.cfg.Nick)
	for i, nick := range all {
		refused, err := r.ask(ctx, rs, c, nick)
		switch {
		case err != nil:
			return err
		case refused == "":
			return nil
		case refused == created:
			r.unmake(ctx, rs, c, nick)
			return ErrNoRoom
		case refused != "conflict" || i == len(all)-1:
			return fmt.Errorf("the room refuses us: %s", refusedText(refused))
		}
	}
	return nil
}

// nicks are those to be tried, in order.
func nicks(seat, wanted string) (all []string) {
	if seat != "" {
		all = append(all, seat)
	}
	all = append(all, wanted)
	for n := 2; n <= mostNicks+1; n++ {
		all = append(all, fmt.Sprintf("%s_%d", wanted, n))
	}
	return slices.Compact(all)
}

// ask sends one presence (XEP-0045 §7.2) and waits for what the room says. What is known of who is there stays until it
// has told everything anew: what is said meanwhile is somebody's.
func (r *room) ask(ctx context.Context, rs *Rooms, c Login, nick string) (refused string, err error) {
	rs.mu.Lock()
	out := r.in == ""
	r.announced, r.refused = map[string]bool{}, ""
	r.forgetLists()
	rs.mu.Unlock()
	if err = c.Write(joinPresence(r.jid+"/"+nick, rs.Posts.beginSearch(r.jid, out))); err == nil {
		refused, err = r.answer(ctx, rs)
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	switch {
	case err == nil && refused == "":
	case ctx.Err() != nil: // it was not refused: a resumption goes on here
		r.announced, r.rejoin = nil, r.in != ""
	case refused == created: // unmake forgets it
	default:
		if rows := r.clear(); len(rows) > 0 {
			rs.cfg.Journal.SetState(bridge.XMPP, rows...)
		}
	}
	return refused, err
}

// answer waits for what the room says to a join.
func (r *room) answer(ctx context.Context, rs *Rooms) (refused string, err error) {
	limit := time.NewTimer(joinWithin)
	defer limit.Stop()
	for {
		change := r.changed.Wait()
		rs.mu.Lock()
		in, refused := r.in != "" && r.announced == nil, r.refused
		rs.mu.Unlock()
		if in || refused != "" {
			return refused, nil
		}
		select {
		case <-change:
		case <-limit.C:
			return "", errors.New("the room does not answer")
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// verify pings ourselves through the room (XEP-0410).
func (r *room) verify(ctx context.Context, rs *Rooms, c Login, nick string) error {
	seat, condition := r.selfPing(ctx, c, nick)
	if seat != seatLost {
		return nil // we are there, or nobody can tell
	}
	rs.lost(r, condition)
	return fmt.Errorf("the room does not know us any more (%s)", condition)
}

const anonymousRoom = "the room is anonymous: what is said there is refused. Let it show real addresses to everybody (muc#roomconfig_whois=anyone)"

// warn says once in a login that the room hides who speaks.
func (r *room) warn(rs *Rooms) {
	rs.mu.Lock()
	open := r.open
	rs.mu.Unlock()
	if !open {
		rs.cfg.Log.Warn().Str("room", r.jid).Msg(anonymousRoom)
	}
}

// Message follows what a room says of itself, and of who belongs to it.
func (rs *Rooms) Message(e *stanza.Element) {
	rs.configured(e)
	rs.affiliated(e)
}

// configured follows changes of who sees real addresses (XEP-0045 §15.6.2).
func (rs *Rooms) configured(e *stanza.Element) {
	r := rs.at(stanza.Bare(e.Get("from")))
	if r == nil || e.Get("type") != "groupchat" || stanza.Resource(e.Get("from")) != "" {
		return
	}
	codes := statuses(e)
	rs.mu.Lock()
	if slices.Contains(codes, "172") || slices.Contains(codes, "173") || slices.Contains(codes, "174") {
		r.rejoin = true // only who joins is told the addresses
	}
	rs.mu.Unlock()
	r.changed.Wake()
}

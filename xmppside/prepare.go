package xmppside

import (
	"cmp"
	"context"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/sm"
)

const (
	settleWithin = 10 * time.Second // for what is still being put into the journal
	roomsWithin  = time.Second      // for the first answers of rooms; messages to people do not wait longer for them
)

// prepare does what a login needs before messages can go out, while the connection is being read.
func (c *connection) prepare() {
	s, ctx := c.s, c.l.Context()
	o := opening{c}
	if c.own.isComponent() {
		if o.afterHandshake(ctx) {
			o.open(ctx)
			c.wg.Go(func() { s.announce(ctx, c) }) // ends with the connection
			c.wg.Go(func() { s.events.write(ctx, c) })
			c.wg.Go(func() { s.rooms.Seats.Sweep(ctx, c) })
		}
		return
	}
	if c.l.Resumed() {
		s.lost = append(s.lost, s.takeLost()...)
		s.requeueLost(nil)
		if s.rooms.LeaveUnserved(c) != nil {
			return
		}
		stream := s.st.Session().ID
		catchingUp := false // takeOn goes on with that
		switch taking := s.archive.Taking(stream); {
		case s.archive.Streams.IsReady(stream):
		case taking:
			catchingUp = true
			if !c.takeOn(ctx) {
				c.holdback.release(s.inbox.push)
				return
			}
		default: // its login may have ended before that
			c.holdback.live(s.inbox.push)
			if !c.sendPresence() {
				return
			}
			c.wg.Go(func() { c.releaseAfterStore(ctx) }) // ends with the connection
		}
		s.rooms.Run(c, true)
		if s.archive.Place.Gapped() && !catchingUp { // the archive could not be read then
			c.wg.Go(func() { s.archive.FillUntilDone(ctx, c, "", &mam.Search{}, func() {}) }) // ends with the line
		}
	} else {
		s.setSoftware("") // it may be another server
		s.st.SetReadSize(readSize)
		if !o.afterLogin(ctx) {
			c.holdback.release(s.inbox.push)
			return
		}
	}
	if s.knownSoftware() == "" {
		c.wg.Go(func() { c.querySoftware(ctx) }) // ends with the connection
	}
	c.wg.Go(func() { c.flushOffline(ctx) }) // so too
	c.wg.Go(func() { s.archive.Advance(ctx, c) })
	c.wg.Go(func() { s.others.watch(ctx, c) })
	o.open(ctx)
}

// opening is what has to be done with a connection before messages go out.
type opening struct{ *connection } // whoever keeps the login is given that

// open lets messages out.
func (c opening) open(ctx context.Context) {
	s := c.s
	c.wg.Go(func() { s.rooms.Posts.Watch(ctx, c.connection) }) // ends with the connection
	s.mu.Lock()
	s.limit = cmp.Or(c.limit, s.most)
	s.mu.Unlock()
	c.readyAt.Store(wait.Running(time.Now()))
	s.st.Open(c.l)
	s.archive.Streams.MarkReady(s.st.Session().ID)
	s.setLive(c.connection, "")
	s.log.Info().Str("server", c.addr).Str("jid", c.full).Str("tls", cmp.Or(c.tls, "none")).
		Bool("resumed", c.l.Resumed()).Bool("xep0198", c.l.Enabled()).Bool("archive", s.archive.Known()).Msg("connected")
	if ctx.Err() != nil {
		s.setLive(nil, "not connected") // it ended meanwhile
	}
}

// afterHandshake is for a component. What its last connection had not confirmed nobody can be asked about.
func (c opening) afterHandshake(ctx context.Context) bool {
	s := c.s
	c.settle(ctx) // what the last connection brought is judged by who was in the rooms then
	s.rooms.Reset()
	s.lost = append(s.lost, s.takeLost()...)
	s.requeueLost(nil)
	return c.joinRooms(ctx)
}

// settle gives what was read before some time to get into the journal.
func (c opening) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	_ = c.s.inbox.settled(ctx) // it goes on without
}

// joinRooms waits for the first answers of rooms, for a while.
func (c opening) joinRooms(ctx context.Context) bool {
	select {
	case <-c.s.rooms.Run(c.connection, false):
	case <-time.After(roomsWithin):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// afterLogin is for a login that could not resume: the server knows nothing of us, and may have lost something.
func (c opening) afterLogin(ctx context.Context) bool {
	s := c.s
	c.settle(ctx) // what is not in the journal then is a duplicate of what the archive brings
	s.rooms.Reset()
	s.others.reset()
	s.lost = append(s.lost, s.takeLost()...)
	sought := s.searchFor(s.lost)
	next, err := s.archive.Begin(ctx, c.connection, sought)
	if ctx.Err() != nil {
		return false // what is lost is looked for again
	}
	switch next {
	case mam.StageRead:
		if found := sought.End(); s.archive.ReadAll() {
			s.requeueLost(found)
		} else {
			s.arrived(found) // the next login does not meet it again
		}
		c.relogin(ctx)
		return false
	case mam.StageAppear:
		c.holdStored()
	default:
		c.holdback.live(s.inbox.push)
	}
	if !c.sendPresence() {
		return false
	}
	switch {
	case err != nil:
		s.archive.WarnUnreadable(err)
		c.wg.Go(func() { s.archive.FillUntilDone(ctx, c, fix.Shape(err), &mam.Search{}, func() {}) }) // ends with the connection
		fallthrough
	case !s.archive.Known():
		c.wg.Go(func() { c.releaseAfterStore(ctx) }) // ends with the connection
		s.archive.Empty()
	default:
		if next != mam.StagePlain {
			c.drained(ctx)
			c.holdback.sort()
			s.archive.SearchSent(ctx, c.connection, sought)
		}
		c.fillGap(ctx, sought) // what came before the server had read that we are available
	}
	if ctx.Err() != nil {
		return false // as above
	}
	s.requeueLost(sought.End())
	return c.joinRooms(ctx)
}

const available = "<presence><priority>127</priority></presence>" // ownPriority

// arrived settles what the old stream has lost, and was found to have arrived.
func (s *Side) arrived(found map[bridge.Ref]bool) int {
	var left []sm.Stanza
	var done []bridge.Result
	for _, x := range s.lost {
		ref := x.Tag.(*outgoing).ref
		if !found[ref] || s.poison.buried[ref] {
			left = append(left, x)
			continue
		}
		done = append(done, bridge.Result{Ref: ref})
		s.streams.settled(ref)
	}
	s.lost = left
	if len(done) > 0 {
		s.journal.Settle(done...)
	}
	return len(done)
}

// requeueLost gives back to the journal what the old stream has lost, in order, but for what was found to have arrived.
func (s *Side) requeueLost(found map[bridge.Ref]bool) {
	all := len(s.lost)
	done := s.arrived(found)
	lost := s.lost
	s.lost = nil
	var back []bridge.Ref
	maybe := 0
	for _, x := range lost {
		ref := x.Tag.(*outgoing).ref
		back = append(back, ref)
		switch {
		case s.poison.buried[ref]: // it leaves if it was put back by hand; a dead one stays so
			delete(s.poison.buried, ref)
		case x.Maybe:
			maybe++
		}
	}
	if maybe > 0 {
		s.journal.Count(bridge.XMPP, bridge.MaybeDuplicate, maybe)
	}
	if len(back) > 0 {
		s.journal.Unbind(back...)
		s.requeues(1)
	}
	if all > 0 {
		s.log.Warn().Int("lost", all).Int("found", done).Int("maybe_duplicate", maybe).
			Msg("the server has lost our stream: what it had not confirmed is sent again")
	}
}

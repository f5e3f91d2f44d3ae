package xmppside

import (
	"cmp"
	"context"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

const (
	settleWithin = 10 * time.Second // for what is still being put into the journal
	roomsWithin  = time.Second      // for the first answers of rooms; messages to people do not wait longer for them
)

// prepare does what a login needs before messages can go out, while the connection is being read.
func (c *login) prepare() {
	s, ctx := c.s, c.l.Context()
	if c.l.Resumed() {
		s.lost = append(s.lost, s.takeLost()...)
		s.requeueLost(nil)
		for _, at := range s.rooms.unserved() {
			if c.write(leavePresence(at)) != nil {
				return
			}
		}
		stream := s.st.Session().ID
		filling := false // takeOn goes on with that
		switch taking := s.archive.isTaking(stream); {
		case s.archive.isReady(stream):
		case taking:
			filling = true
			if !s.takeOn(ctx, c) {
				c.holdback.release(s.inbox.push)
				return
			}
		default: // its login may have ended before that
			c.holdback.live(s.inbox.push)
			if !s.sendPresence(c) {
				return
			}
			c.wg.Go(func() { c.releaseAfterStore(ctx) }) // ends with the connection
		}
		s.rooms.keep(c)
		if s.archive.gapped() && !filling { // the archive could not be read then
			c.wg.Go(func() { s.archive.keepFilling(ctx, c, "", &search{}, func() {}) }) // ends with the line
		}
	} else {
		s.setSoftware("") // it may be another server
		s.st.SetReadSize(readSize)
		if !s.afterLogin(ctx, c) {
			c.holdback.release(s.inbox.push)
			return
		}
	}
	if s.knownSoftware() == "" {
		c.wg.Go(func() { c.querySoftware(ctx) }) // ends with the connection
	}
	c.wg.Go(func() { c.flushOffline(ctx) }) // so too
	c.wg.Go(func() { s.archive.advance(ctx, c) })
	c.wg.Go(func() { s.others.keep(ctx, c) })
	c.wg.Go(func() { s.rooms.posts.watch(ctx, c) })
	s.mu.Lock()
	s.limit = cmp.Or(c.limit, s.most)
	s.mu.Unlock()
	c.readyAt.Store(time.Now().UnixNano())
	s.st.Open(c.l)
	s.archive.markReady(s.st.Session().ID)
	s.setLive(c, "")
	s.log.Info().Str("server", c.addr).Str("jid", c.full).Str("tls", cmp.Or(c.tls, "none")).
		Bool("resumed", c.l.Resumed()).Bool("xep0198", c.l.Enabled()).Bool("archive", s.archive.known()).Msg("connected")
	if ctx.Err() != nil {
		s.setLive(nil, "not connected") // it ended meanwhile
	}
}

// afterLogin is for a login that could not resume: the server knows nothing of us, and may have lost something.
func (s *Side) afterLogin(ctx context.Context, c *login) bool {
	settling, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	_ = s.inbox.settled(settling) // what is not in the journal then is a duplicate of what the archive brings
	s.rooms.reset()
	s.others.reset()
	s.lost = append(s.lost, s.takeLost()...)
	sought := newSearch(s, s.lost)
	next, err := s.archive.begin(ctx, c, sought)
	if ctx.Err() != nil {
		return false // what is lost is looked for again
	}
	switch next {
	case stageRead:
		if found := sought.end(); s.archive.readAll() {
			s.requeueLost(found)
		} else {
			s.arrived(found) // the next login does not meet it again
		}
		s.loginAgain(ctx, c)
		return false
	case stagePlain:
		c.holdback.live(s.inbox.push)
	}
	if !s.sendPresence(c) {
		return false
	}
	switch {
	case err != nil:
		s.archive.warnUnreadable(err)
		c.wg.Go(func() { s.archive.keepFilling(ctx, c, stanza.Kind(err), &search{}, func() {}) }) // ends with the connection
		fallthrough
	case !s.archive.known():
		c.wg.Go(func() { c.releaseAfterStore(ctx) }) // ends with the connection
		s.archive.empty()
	default:
		if next == stageAppear {
			c.drained(ctx)
			c.holdback.sort()
			s.archive.searchSent(ctx, c, sought)
		}
		s.fillGap(ctx, c, sought) // what came before the server had read that we are available
	}
	if ctx.Err() != nil {
		return false // as above
	}
	s.requeueLost(sought.end())
	select {
	case <-s.rooms.keep(c):
	case <-time.After(roomsWithin):
	case <-ctx.Done():
		return false
	}
	return ctx.Err() == nil
}

// sendPresence makes us available: live messages come, and what the server has stored.
func (s *Side) sendPresence(c *login) bool {
	if c.write([]byte(available)) != nil {
		c.holdback.release(s.inbox.push)
		return false
	}
	return true
}

// fillGap has the archive read; what is held is passed on after the first attempt. It waits for that, but only so long: what goes out
// does not wait for a long archive, or for a slow one.
func (s *Side) fillGap(ctx context.Context, c *login, f *search) {
	tried := make(chan struct{})
	c.wg.Go(func() { // ends with the connection
		s.archive.keepFilling(ctx, c, "", f, sync.OnceFunc(func() {
			c.holdback.release(s.inbox.push)
			if ctx.Err() == nil {
				s.archive.empty()
			}
			close(tried)
		}))
	})
	select {
	case <-tried:
	case <-time.After(s.patience):
		s.log.Warn().Dur("waited", s.patience).Msg("the archive is not read to its end yet: what goes out does not wait for it any longer")
	}
}

const (
	available = "<presence><priority>127</priority></presence>" // ownPriority
	negative  = "<presence><priority>-1</priority></presence>"
	quiet     = time.Second // without a message
)

// flushOffline makes the server bring what it had stored for us, once more, and once more after that. What reaches
// ejabberd 23.01 while we log in, or while a stream moves to its new connection, may be stored just behind its look
// into the store, and would lie there until the next login; it looks again when a priority is no longer negative
// (RFC 6121 §8.5.2). What comes between the two may meet the same fate, so it is done in one write, and only when
// nothing comes. What another client is given meanwhile is fetched from the archive.
func (c *login) flushOffline(ctx context.Context) {
	for _, d := range []time.Duration{2 * time.Second, 10 * time.Second} {
		for wait.Pause(ctx, d) && time.Since(time.Unix(0, c.lastMessage.Load())) < quiet {
			d = quiet / 2
		}
		if ctx.Err() != nil {
			return
		}
		c.s.others.flushed()
		if c.write([]byte(negative+available)) != nil {
			return
		}
		c.s.others.flushed() // the archive was perhaps asked before that
	}
}

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

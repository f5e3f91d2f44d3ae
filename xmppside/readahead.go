package xmppside

import (
	"context"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// ahead is a login that only reads the archive, before we are available, so that all of it comes before what is
// live; the login behind it appears first. They are two because Prosody keeps back what it had stored for us from a session that
// has asked the archive, and not all that is stored must be in the archive: some is not to be archived, a policy
// may have been another, and old entries are dropped.
type readAheadState struct {
	done   bool // the next login appears
	walked bool // and nothing is behind the cursor but what came since
}

// loginStage is what a login is for.
type loginStage int

const (
	stageRead   loginStage = iota // the archive was read as far as it goes: log in again
	stageAppear                   // appear, and read what is left
	stagePlain                    // appear; there is no archive, or no cursor yet
)

// begin finds out what this login is for, and reads ahead. What was sent behind the cursor is searched for on the way. An
// error: the archive cannot be read now.
func (a *archive) begin(ctx context.Context, c *login, f *search) (loginStage, error) {
	a.mu.Lock()
	before := a.ahead
	a.ahead = readAheadState{}
	a.mu.Unlock()
	if err := a.discover(ctx, c); err != nil {
		return stagePlain, err
	}
	if !a.known() {
		a.filled()
		return stagePlain, nil
	}
	if err := a.stepOver(ctx); err != nil {
		return stagePlain, err
	}
	at, has := a.position()
	switch {
	case !has:
		return stagePlain, nil
	case before.walked:
		c.holdback.live(a.s.inbox.push)
		return stageAppear, nil
	case before.done || at.ID == "" || !a.lasting():
		if !a.lasting() { // nothing else tells what is known again of what has no id
			a.note(&a.taking, keyTaking, a.s.st.Session().ID)
		}
		if !a.emptied {
			c.holdback.old(at.since())
		}
		return stageAppear, nil
	}
	walked := a.readAhead(ctx, c, f, at)
	if ctx.Err() == nil {
		a.mu.Lock()
		a.ahead = readAheadState{done: true, walked: walked}
		a.mu.Unlock()
	}
	return stageRead, nil
}

// readAhead takes what is behind the cursor, where that is still in the archive. What it cannot do the login behind it does, or
// says why not.
func (a *archive) readAhead(ctx context.Context, c *login, f *search, at cursor) bool {
	ctx, cancel := context.WithTimeout(ctx, a.s.patience) // nothing goes out meanwhile
	defer cancel()
	if _, err := a.page(ctx, c, query{after: at.ID, max: 1}, func(m sm.Handle, _ result) { m.Done() }); err != nil {
		return false
	}
	a.searchSent(ctx, c, f)
	return a.fill(ctx, c, f) == nil
}

// lasting tells whether the archive has all that came since the cursor was set, as far as it has not dropped it.
func (a *archive) lasting() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.policy.lasting
}

// readAll tells whether it did.
func (a *archive) readAll() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ahead.walked
}

// isTaking tells whether the store was being taken on a stream.
func (a *archive) isTaking(stream string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.has && a.taking == stream
}

// takeOn goes on taking the store after a resumption.
func (s *Side) takeOn(ctx context.Context, c *login) bool {
	if at, _ := s.archive.position(); !s.archive.emptied {
		c.holdback.old(at.since())
	}
	if !s.sendPresence(c) {
		return false
	}
	c.drained(ctx)
	c.holdback.sort()
	s.fillGap(ctx, c, &search{})
	return ctx.Err() == nil
}

// empty notes that the offline store was taken. One that a relay of before has left may have the messages of years, which were
// taken from the archive.
func (a *archive) empty() {
	if !a.emptied {
		a.emptied = true
		a.s.journal.SetState(bridge.XMPP, bridge.StateRow{Key: keyEmptied, Value: []byte("1")})
	}
}

// loginAgain ends a login, so that the next is made at once.
func (s *Side) loginAgain(ctx context.Context, c *login) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	s.relogin = true
	if s.archive.readAll() {
		c.holdback.release(s.inbox.push) // what comes before we are available is in the archive, too, or comes again
		if c.l.Leave(ctx) == nil {
			return
		}
	}
	c.l.Close() // what was held comes again
}

// drained waits until the server has brought what it had stored: its answer to a ping comes behind that. A long store
// is waited for as long as something comes.
func (c *login) drained(ctx context.Context) {
	for ctx.Err() == nil {
		ask, cancel := context.WithTimeout(ctx, holdWithin)
		_, err := c.ask(ask, stanza.Domain(c.s.addr.own), "get", "<ping xmlns='"+stanza.NSPing+"'/>")
		cancel()
		if err == nil || stanza.IsAnswer(err) || time.Since(time.Unix(0, c.lastMessage.Load())) > holdWithin {
			return
		}
	}
}

package mam

import (
	"context"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
)

// Prosody 0.12 keeps back what it had stored for us from a session that has asked the archive (mod_mam, "offline" handler; no
// issue is known; docs/decisions/0016). Tests: TestArchivePolicy, TestMerge. So a login that could not resume may be two.

// readAheadState is of a login that only reads the archive, before we are available, so that all of it comes before what is
// live; the login behind it appears first. They are two because not all that is stored must be in the archive: some is not to be
// archived, a policy may have been another, and old entries are dropped.
type readAheadState struct {
	done    bool // the next login appears
	readAll bool // and nothing is behind the cursor but what came since
}

// Stage is what a login is for.
type Stage int

// Stages.
const (
	StageRead   Stage = iota // the archive was read as far as it goes: log in again
	StageFilled              // appear, and read what came since: what is stored was read
	StageAppear              // appear, take what is stored, and read what is left
	StagePlain               // appear; there is no archive, or no cursor yet
)

// Begin finds out what this login is for, and reads ahead. What was sent behind the cursor is searched for on the way. An
// error: the archive cannot be read now.
func (a *Archive) Begin(ctx context.Context, c Login, f *Search) (Stage, error) {
	a.mu.Lock()
	before := a.unread
	a.unread = readAheadState{}
	a.mu.Unlock()
	if err := a.service.discover(ctx, c); err != nil {
		return StagePlain, err
	}
	if !a.Known() {
		a.filled()
		return StagePlain, nil
	}
	if err := a.stepOver(ctx); err != nil {
		return StagePlain, err
	}
	at, has := a.Place.Position()
	switch {
	case !has:
		return StagePlain, nil
	case before.readAll:
		return StageFilled, nil
	case before.done || at.ID == "" || !a.service.lasts():
		// What the store has handed out, and the archive never had or has dropped, is from now on the stream's alone: Prosody
		// drops it at the next login once the archive was asked (mod_smacks, "delivery/failure").
		a.Streams.MarkTaking(a.side.Stream())
		return StageAppear, nil
	}
	readAll := a.readAhead(ctx, c, f, at)
	if ctx.Err() == nil {
		a.mu.Lock()
		a.unread = readAheadState{done: true, readAll: readAll}
		a.mu.Unlock()
	}
	return StageRead, nil
}

// readAhead takes what is behind the cursor, where that is still in the archive. What it cannot do the login behind it does, or
// says why not.
func (a *Archive) readAhead(ctx context.Context, c Login, f *Search, at Cursor) bool {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout) // nothing goes out meanwhile
	defer cancel()
	if _, err := a.queries.page(ctx, c, query{after: at.ID, max: 1}, func(m sm.Handle, _ Result) { m.Done() }); err != nil {
		return false
	}
	a.SearchSent(ctx, c, f)
	return a.Fill(ctx, c, f) == nil
}

// ReadAll tells whether all that is behind the cursor was read ahead.
func (a *Archive) ReadAll() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unread.readAll
}

// Emptied tells whether a login has taken the offline store. One that a relay of before has left may have the messages of years, which
// were taken from the archive.
func (a *Archive) Emptied() bool { return a.emptied }

// Empty notes that it has.
func (a *Archive) Empty() {
	if !a.emptied {
		a.emptied = true
		a.journal.SetState(bridge.XMPP, bridge.StateRow{Key: keyEmptied, Value: []byte("1")})
	}
}

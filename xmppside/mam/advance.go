package mam

import (
	"context"
	"time"

	"chatrelay/internal/wait"
)

// When the cursor is moved over what we send.
const (
	AdvanceEvery = time.Second
	AdvanceAfter = 500 // stanzas of ours
	advanceShare = 50  // times as long as the server needed to say where its archive ends
)

// Sent counts stanzas of ours that the server has.
func (a *Archive) Sent(n int) { a.sent.Add(int64(n)) }

// Advance moves the cursor over what we send ourselves, so that the next walk is not long, as long as ctx lasts.
func (a *Archive) Advance(ctx context.Context, c Login) {
	seen, before := a.sent.Load(), ""
	for d := AdvanceEvery; wait.Pause(ctx, d); {
		d = AdvanceEvery
		now := a.sent.Load()
		next, free := a.Place.next()
		due := next == before && now-seen >= AdvanceAfter && free && a.Known()
		if before = next; due {
			seen = now
			began := time.Now()
			a.pass(ctx, c, next)
			d = max(AdvanceEvery, advanceShare*time.Since(began)) // meanwhile Prosody, which reads a whole file, does nothing else
		}
	}
}

// pass moves the cursor to next, where the pending cursor's Next has been for a while, and Next to the end of the archive. When
// that fails the cursor stays older, which does no harm. An end that did not move is no end: a clock was set back.
func (a *Archive) pass(ctx context.Context, c Login, next string) {
	if last, err := a.end(ctx, c); err == nil && last != "" && last != next {
		a.Place.pass(next, last)
	}
}

package mam

import (
	"context"
	"time"

	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// Room reads what a room's archive has since a time, until f says that it has enough. What it cannot read it passes over; where that
// is too much it reads nothing.
func (a *Archive) Room(ctx context.Context, c stanza.Asker, room string, since time.Time, f func(msg *stanza.Element) (more bool)) error {
	behind, ok := a.over.behind(room)
	if !ok {
		return nil
	}
	q := query{of: room, after: behind, max: PageSize}
	if behind == "" {
		q.start = since
	}
	return a.queries.each(ctx, c, &q, since, func(m sm.Handle, r Result) bool {
		defer m.Done()
		return f(r.Msg)
	})
}

// RoomDone forgets where Room was in a room's archive: the next one begins anew.
func (a *Archive) RoomDone(room string) { a.over.lookedUp(room) }

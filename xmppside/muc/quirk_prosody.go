package muc

import (
	"context"
	"time"

	"chatrelay/xmppside/stanza"
)

const outWithin = 5 * time.Second // for the room's goodbye

// awaitOut waits until the room has said that we are out: Prosody 0.12 tells less to who joins again before that. Seen;
// no issue is known. Test: TestServe.
func (r *room) awaitOut(ctx context.Context, out func() bool) {
	limit := time.NewTimer(outWithin)
	defer limit.Stop()
	for {
		change := r.changed.Wait()
		if out() {
			return
		}
		select {
		case <-change:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// shows tells whether the room has told anybody's real address but ours. Prosody 0.12 says nothing of it (status 100) to who was in it still,
// as a component is whose connection has broken. Seen; no issue is known. Test: TestSeats. It needs rooms.mu.
func (r *room) shows() bool {
	for nick, real := range r.people.real {
		if nick != r.in && real != "" {
			return r.in != ""
		}
	}
	return false
}

// realOf is who sits behind a nick: empty where the room does not say. Two sessions of one person may share a nick, and
// Prosody 0.12 then names both in one presence (XEP-0045 §7.2.9). Test: TestOccupants.
func realOf(x *stanza.Element) (real string) {
	if x == nil {
		return ""
	}
	for i, it := range x.All(stanza.NSMUCUser, "item") {
		j := it.Get("jid")
		if j == "" || i > 0 && stanza.Bare(j) != stanza.Bare(real) {
			return ""
		}
		if i == 0 {
			real = j
		}
	}
	return real
}

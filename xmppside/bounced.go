package xmppside

import (
	"sync"
	"time"

	"chatrelay/internal/wait"
	"chatrelay/xmppside/muc"
)

// returned counts what was given back to us, by the word for why, so that each word is in the log once a minute.
type returned struct {
	mu sync.Mutex // guards by
	by wait.Throttles
}

// add counts one; it tells how many are to be named in the log now, 0: none.
func (r *returned) add(word string, now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by.Add(word, now)
}

// gaveBack says that a message of ours is dead because it was given back: when a reason is new, and then once a minute.
func (s *Side) gaveBack(b *muc.Bounce) {
	due := s.returned.add(b.Why.Reason, time.Now())
	if due == 0 {
		return
	}
	e := s.log.Warn().Str("reason", b.Why.Reason).Int64("messages", due).Stringer("ref", b.Ref)
	if b.Room != "" {
		e = e.Str("room", b.Room)
	}
	e.Str("why", b.Why.Text).Msg("dead letter: the XMPP server gave a message back")
}

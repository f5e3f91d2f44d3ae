package xmppside

import (
	"sync"
	"time"
)

// returned counts what was given back to us, by the word for why, so that each word is in the log once a minute.
type returned struct {
	mu sync.Mutex // guards by
	by map[string]*unheard
}

// add counts one; it tells how many are to be named in the log now, 0: none.
func (r *returned) add(word string, now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]*unheard{}
	}
	u := r.by[word]
	if u == nil {
		u = &unheard{}
		r.by[word] = u
	}
	return u.add(now)
}

// gaveBack says that a message of ours is dead because it was given back: when a reason is new, and then once a minute.
func (s *Side) gaveBack(b *bounce) {
	due := s.returned.add(b.why.Reason, time.Now())
	if due == 0 {
		return
	}
	e := s.log.Warn().Str("reason", b.why.Reason).Int64("messages", due).Stringer("ref", b.ref)
	if b.room != "" {
		e = e.Str("room", b.room)
	}
	e.Str("why", b.why.Text).Msg("dead letter: the XMPP server gave a message back")
}

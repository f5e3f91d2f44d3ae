package xmppside

import (
	"time"

	"chatrelay/bridge"
)

const sayUnheard = time.Minute

// unheard are messages of a room that were refused without anybody to tell: the room does not say who speaks. Who runs
// the relay has to know. Guarded by rooms.mu.
type unheard struct {
	total  int64
	silent int64 // of those: not in the log yet
	said   time.Time
}

// add counts one; it tells how many are to be named in the log now, 0: none.
func (u *unheard) add(now time.Time) (due int64) {
	u.total++
	u.silent++
	if !u.said.IsZero() && now.Sub(u.said) < sayUnheard {
		return 0
	}
	due = u.silent
	u.said, u.silent = now, 0
	return due
}

// refused notes such a message.
func (rs *rooms) refused(room string, why *bridge.Refusal) {
	r := rs.at(room)
	if r == nil {
		return
	}
	rs.mu.Lock()
	due := r.unheard.add(time.Now())
	rs.mu.Unlock()
	if due > 0 {
		rs.s.log.Warn().Str("room", room).Str("reason", why.Reason).Int64("messages", due).
			Str("fix", "let the room show real addresses to everybody (muc#roomconfig_whois=anyone)").
			Msg("what is said in the room is refused, and its speakers cannot be told")
	}
}

// unheardIn is how many there were since the start.
func (rs *rooms) unheardIn(room string) int64 {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r := rs.at(room); r != nil {
		return r.unheard.total
	}
	return 0
}

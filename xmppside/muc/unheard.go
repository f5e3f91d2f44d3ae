package muc

import (
	"time"

	"chatrelay/bridge"
)

// Refused notes a message of a room that was refused without anybody to tell: the room does not say who speaks. Who runs the relay has
// to know.
func (rs *Rooms) Refused(room string, why *bridge.Refusal) {
	r := rs.at(room)
	if r == nil {
		return
	}
	rs.mu.Lock()
	due := r.unheard.Add(time.Now())
	rs.mu.Unlock()
	if due > 0 {
		rs.cfg.Log.Warn().Str("room", room).Str("reason", why.Reason).Int64("messages", due).
			Str("fix", "let the room show real addresses to everybody (muc#roomconfig_whois=anyone)").
			Msg("what is said in the room is refused, and its speakers cannot be told")
	}
}

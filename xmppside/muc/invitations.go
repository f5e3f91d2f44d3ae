package muc

import (
	"maps"
	"slices"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/stanza"
)

// mostInvited is how many rooms are served because somebody has invited the relay there.
const mostInvited = 100

// Invitations are the rooms to which the relay was invited by who may, beside those of the configuration. The journal has them, too. It may
// be used from any goroutine.
type Invitations struct {
	rooms *Rooms

	// Guarded by rooms.mu.
	configured []string
	by         map[string]string // who has invited us, by the room's bare JID
	refused    wait.Throttle
}

// Follow serves a room to which somebody has invited us. false: there are too many.
func (v *Invitations) Follow(j, by string) bool {
	rs := v.rooms
	rs.mu.Lock()
	_, known := v.by[j]
	if full := len(v.by) >= mostInvited; known || full {
		rs.mu.Unlock()
		return known
	}
	v.by[j] = by
	rs.cfg.Journal.SetState(bridge.XMPP, bridge.StateRow{Key: keyInvited + j, Value: []byte(by)})
	looks := serve(rs)
	rs.mu.Unlock()
	looks()
	rs.cfg.Log.Info().Str("room", j).Str("by", by).Msg("the relay follows an invitation: the room is served from now on, and after a restart, until somebody throws the relay out of it")
	return true
}

// Follows tells whether a room is served because of an invitation.
func (v *Invitations) Follows(j string) bool {
	v.rooms.mu.Lock()
	defer v.rooms.mu.Unlock()
	return v.by[j] != ""
}

// Believes tells whether a room of the configuration is of that chat service.
func (v *Invitations) Believes(service string) bool {
	v.rooms.mu.Lock()
	defer v.rooms.mu.Unlock()
	return slices.ContainsFunc(v.configured, func(j string) bool { return stanza.Domain(j) == service })
}

// mostShown is how much of an address goes into the log that anybody may have written.
const mostShown = 300

// Refuse notes an invitation that is not followed.
func (v *Invitations) Refuse(j, by, why string) {
	v.rooms.mu.Lock()
	due := v.refused.Add(time.Now())
	v.rooms.mu.Unlock()
	if due > 0 {
		v.rooms.cfg.Log.Warn().Str("room", j[:min(len(j), mostShown)]).Str("by", by[:min(len(by), mostShown)]).Str("cause", why).Int64("invitations", due).
			Str("fix", "CHATRELAY_XMPP_ROOMS serves a room without an invitation; those in CHATRELAY_TRUSTED_JIDS may invite").
			Msg("an invitation to a room is not followed")
	}
}

// end takes a room off the list in which the relay is not wanted any more. It is called without rooms.mu.
func (v *Invitations) end(j, why string) {
	rs := v.rooms
	rs.mu.Lock()
	if _, known := v.by[j]; !known {
		rs.mu.Unlock()
		return
	}
	delete(v.by, j)
	rs.cfg.Journal.SetState(bridge.XMPP, bridge.StateRow{Key: keyInvited + j})
	looks := serve(rs)
	rs.mu.Unlock()
	looks()
	rs.cfg.Log.Info().Str("room", j).Str("cause", why).Msg("the relay was invited to the room, and is not wanted there any more: the invitation is over")
}

// restore takes in what the journal remembers; false: who has invited us may not do so any more. It needs rooms.mu.
func (v *Invitations) restore(j, by string) bool {
	if may := v.rooms.cfg.Trusted; may == nil || !may(by) {
		v.rooms.cfg.Log.Info().Str("room", j).Str("by", by).Msg("who has invited the relay to the room is none of CHATRELAY_TRUSTED_JIDS any more: the invitation is over")
		return false
	}
	v.by[j] = by
	if v.rooms.at(j) != nil {
		return true
	}
	v.rooms.Posts.open(j)
	now := maps.Clone(*v.rooms.set.Load())
	now[j] = &room{jid: j, people: newOccupants(v.rooms.cfg.landline)}
	v.rooms.set.Store(&now)
	return true
}

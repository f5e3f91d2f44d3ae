package muc

import (
	"maps"
	"slices"

	"chatrelay/bridge"
)

// States are what is shown of the rooms, by name.
func (rs *Rooms) States() []bridge.RoomState {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	set := rs.all()
	out := make([]bridge.RoomState, 0, len(set))
	for _, j := range slices.Sorted(maps.Keys(set)) {
		r := set[j]
		if r.closing {
			continue
		}
		state := bridge.RoomState{Room: j, Up: r.in != "", Why: r.why, InvitedBy: rs.Invitations.by[j], Unheard: r.unheard.Total}
		switch {
		case state.Why != "": // a room that we are in may not say who belongs to it
		case !state.Up:
			state.Why = "not joined yet"
		case !r.open:
			state.Why = anonymousRoom
		}
		out = append(out, state)
	}
	return out
}

// complain keeps for people why we are not in the room.
func (rs *Rooms) setWhy(r *room, err error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r.why = ""; err != nil {
		r.why = err.Error()
	}
}

package admin

import "chatrelay/bridge"

// roomStatus is a served room in /statusz.
type roomStatus struct {
	Up     bool   `json:"up"` // the relay is in it
	Reason string `json:"reason,omitempty"`
	// InvitedBy is who has invited the relay there; empty: it is served anyway.
	InvitedBy string `json:"invited_by,omitempty"`
}

func (s *Server) rooms() []bridge.RoomState {
	if s.cfg.Rooms == nil {
		return nil
	}
	return s.cfg.Rooms.Rooms()
}

func (s *Server) roomStatus() map[string]roomStatus {
	out := map[string]roomStatus{}
	for _, r := range s.rooms() {
		out[r.Room] = roomStatus{r.Up, r.Why, r.InvitedBy}
	}
	return out
}

// warnings are what an operator should look at though messages come and go: rooms that the relay is not in, or in
// which it cannot see who speaks. While the XMPP side is down they tell nothing that its own line does not.
func (s *Server) warnings() (out []string) {
	for _, side := range s.cfg.Sides {
		if up, _ := side.Up(); side.ID() == bridge.XMPP && !up {
			return nil
		}
	}
	for _, r := range s.rooms() {
		if r.Why != "" {
			out = append(out, "room "+r.Room+": "+r.Why)
		}
	}
	return out
}

package muc

import (
	"slices"
	"strings"

	"chatrelay/bridge"
)

// mostMembers are counted beside those of the groups file: each costs a delivery for each message of the room.
const mostMembers = 1000

// Members are those who belong to rooms. It may be used from any goroutine.
type Members struct{ rooms *Rooms }

// Of are the bare JIDs of those who are on a room's lists, and of people who sit there. A landline's own occupant is none: it is there to
// speak. While the lists are not known those of before count. They are not to be changed.
func (m Members) Of(j string) []string {
	rs := m.rooms
	rs.mu.Lock()
	r := rs.at(j)
	if r == nil {
		rs.mu.Unlock()
		return nil
	}
	fresh := r.who.members == nil
	if fresh {
		r.who.members = m.list(r)
	}
	out := r.who.members
	say := fresh && len(out) > mostMembers && !r.who.crowded
	r.who.crowded = r.who.crowded || say
	rs.mu.Unlock()
	if say {
		rs.cfg.Log.Warn().Str("room", j).Int("members", len(out)).Int("counted", mostMembers).Str("fix", "give those who need it a row in CHATRELAY_GROUPS_FILE").
			Msg("more belong to the room than are counted: the others get what is said there into no inbox")
	}
	return out[:min(len(out), mostMembers)]
}

// list needs rooms.mu. Who is on a list comes first.
func (m Members) list(r *room) []string {
	listed := r.who.listed()
	if r.who.asked.IsZero() {
		for _, bare := range r.who.before {
			if r.who.affiliation(bare) != outcast { // the room has said so since
				listed = append(listed, bare)
			}
		}
	}
	slices.Sort(listed)
	listed = slices.Compact(listed)
	there := []string{}
	for bare := range r.people.nicks {
		if _, is := slices.BinarySearch(listed, bare); !is && !m.rooms.cfg.landline(bare) {
			there = append(there, bare)
		}
	}
	slices.Sort(there)
	return append(listed, there...)
}

// listed are those on a room's lists who may be there. It needs rooms.mu.
func (m *membership) listed() (out []string) {
	for bare, affiliation := range m.affiliations {
		if affiliation != outcast {
			out = append(out, bare)
		}
	}
	slices.Sort(out)
	return out
}

// Listed tells whether a bare JID is on a room's lists as member, admin or owner.
func (m Members) Listed(j, bare string) bool {
	m.rooms.mu.Lock()
	defer m.rooms.mu.Unlock()
	r := m.rooms.at(j)
	if r == nil {
		return false
	}
	affiliation := r.who.affiliation(bare)
	return affiliation != "" && affiliation != outcast
}

// save keeps the lists in the journal, as far as they have changed: a new process begins with them. It needs rooms.mu.
func (m Members) save(r *room) (rows []bridge.StateRow) {
	listed := r.who.listed()
	text := strings.Join(listed[:min(len(listed), mostMembers)], "\n")
	if text == r.who.saved {
		return nil
	}
	r.who.saved = text
	row := bridge.StateRow{Key: keyMembers + r.jid}
	if text != "" {
		row.Value = []byte(text)
	}
	return []bridge.StateRow{row}
}

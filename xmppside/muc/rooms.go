package muc

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/stanza"
)

// Rooms are the served rooms: in which we are, under which nick, and who is behind the nicks there. All of it
// is also in the journal, so that a new process that resumes the stream knows it.
type Rooms struct {
	cfg   Config
	Posts *Posts // what is on its way to them
	Seats *Seats // landlines in them

	Members     Members
	Invitations *Invitations

	set    atomic.Pointer[map[string]*room] // by address; replaced as a whole, under mu
	served wait.Broadcast                   // rings when it was

	mu   sync.Mutex // guards all below, and each room's fields that say so
	left []string   // rooms that are no longer served, as room/nick: to be left after a resumption
}

// room is one served room.
type room struct {
	jid     string
	changed wait.Broadcast // rings when any of these may have changed

	// Guarded by rooms.mu.
	in        string // our nick; empty: not in the room
	people    occupants
	announced map[string]bool // nicks of which the room has told since a join that is not answered; nil: there is none
	open      bool            // shows real addresses to everybody
	refused   string          // condition of the last error presence
	suspected bool            // somebody says that we are not in the room
	rejoin    bool            // it tells other things to those who join now
	gone      string          // why we are out
	closing   bool            // it is no longer served
	unheard   wait.Throttle   // messages that were refused without anybody to tell
	why       string          // why we are not in, for people
	who       membership
}

// New makes the rooms of a configuration. It is in none of them.
func New(cfg Config) *Rooms {
	rs := &Rooms{cfg: cfg}
	rs.Posts, rs.Seats, rs.Members, rs.Invitations = newPosts(rs), newSeats(rs), Members{rs}, &Invitations{rooms: rs, configured: cfg.Rooms, by: map[string]string{}}
	set := make(map[string]*room, len(cfg.Rooms))
	for _, j := range cfg.Rooms {
		set[j] = &room{jid: j, people: newOccupants(rs.cfg.landline)}
	}
	rs.set.Store(&set)
	return rs
}

// Restore takes in what the journal remembers. It counts only if the stream is resumed.
func (rs *Rooms) Restore(state map[string][]byte) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var stale []bridge.StateRow
	for key, value := range state { // before what is remembered of rooms
		if j, ok := strings.CutPrefix(key, keyInvited); ok && !rs.Invitations.restore(j, string(value)) {
			stale = append(stale, bridge.StateRow{Key: key})
		}
	}
	for key, value := range state {
		if j, ok := strings.CutPrefix(key, keyRoom); ok {
			if r := rs.at(j); r != nil {
				r.in, r.open = string(value), true
				continue
			}
			rs.left = append(rs.left, j+"/"+string(value))
			stale = append(stale, bridge.StateRow{Key: key})
		}
		if at, ok := strings.CutPrefix(key, keyOccupant); ok {
			if r := rs.at(stanza.Bare(at)); r != nil {
				r.people.put(stanza.Resource(at), string(value))
				continue
			}
			stale = append(stale, bridge.StateRow{Key: key})
		}
		if j, ok := strings.CutPrefix(key, keyMembers); ok {
			if r := rs.at(j); r != nil {
				r.who.saved, r.who.before = string(value), strings.Split(string(value), "\n")
				continue
			}
			stale = append(stale, bridge.StateRow{Key: key})
		}
		if at, ok := strings.CutPrefix(key, keyRole); ok && !rs.restoreRole(at, string(value)) {
			stale = append(stale, bridge.StateRow{Key: key})
		}
	}
	for _, r := range rs.all() {
		r.rejoin = r.rejoin || r.incomplete()
	}
	if len(stale) > 0 {
		rs.cfg.Journal.SetState(bridge.XMPP, stale...)
	}
	rs.Posts.restore(state)
}

// Reset forgets everything: after a fresh login we are in no room.
func (rs *Rooms) Reset() {
	rs.Seats.reset()
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var rows []bridge.StateRow
	for _, r := range rs.all() {
		rows = append(rows, r.clear()...)
	}
	rs.left = nil
	if len(rows) > 0 {
		rs.cfg.Journal.SetState(bridge.XMPP, rows...)
	}
}

// clear needs rooms.mu.
func (r *room) clear() (rows []bridge.StateRow) {
	if r.in != "" {
		rows = append(rows, bridge.StateRow{Key: keyRoom + r.jid})
	}
	for nick := range r.people.real {
		rows = append(rows, bridge.StateRow{Key: keyOccupant + r.jid + "/" + nick})
	}
	r.in, r.refused, r.gone = "", "", ""
	r.people, r.announced = newOccupants(r.people.landline), nil
	return append(rows, r.forgetRoles()...)
}

// LeaveUnserved leaves the rooms in which we still are after a resumption, and that are no longer served.
func (rs *Rooms) LeaveUnserved(c Login) error {
	for _, at := range rs.unserved() {
		if err := c.Write(leavePresence(at)); err != nil {
			return err
		}
	}
	return nil
}

// unserved takes the occupants that are to be withdrawn.
func (rs *Rooms) unserved() []string {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	left := rs.left
	rs.left = nil
	return left
}

// Ours tells whether a room is served, or still being left.
func (rs *Rooms) Ours(j string) bool { return rs.at(j) != nil }

// Joined tells whether we are in a room.
func (rs *Rooms) Joined(j string) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.at(j)
	return r != nil && r.in != ""
}

// Nick is ours in a room; empty: we are not in it.
func (rs *Rooms) Nick(j string) string {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r := rs.at(j); r != nil {
		return r.in
	}
	return ""
}

// lost notes that a room does not know us any more. It is joined again.
func (rs *Rooms) lost(r *room, condition string) {
	rs.mu.Lock()
	rs.cfg.Journal.SetState(bridge.XMPP, r.clear()...)
	r.gone = "the room does not know us any more (" + condition + ")"
	rs.mu.Unlock()
	r.changed.Wake()
}

// Occupant is who speaks under a nick.
type Occupant struct {
	Real string // JID; empty: the room does not tell
	Self bool   // our own nick
	Ours bool   // a landline's, at our own domain
}

func (rs *Rooms) Speaker(j, nick string) (who Occupant, served bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.at(j)
	if r == nil {
		return Occupant{}, false
	}
	real := r.people.real[nick]
	return Occupant{Real: real, Self: nick != "" && nick == r.in, Ours: rs.cfg.landline(stanza.Bare(real))}, true
}

// Suspect: somebody says that we are not in the room.
func (rs *Rooms) Suspect(j string) {
	r := rs.at(j)
	if r == nil {
		return
	}
	rs.mu.Lock()
	r.suspected = true
	rs.mu.Unlock()
	r.changed.Wake()
}

// Presence follows who comes and goes (XEP-0045 §7).
func (rs *Rooms) Presence(e *stanza.Element) {
	from := e.Get("from")
	r, nick := rs.at(stanza.Bare(from)), stanza.Resource(from)
	if r == nil {
		return
	}
	rs.mu.Lock()
	var rows []bridge.StateRow
	unwanted := ""
	switch e.Get("type") {
	case "error":
		r.refused = stanza.ErrorOf(e).Condition
	case "unavailable":
		unwanted = whyUnwanted(e, nick == r.in)
		rows = append(r.notes(nick, e), r.leaves(nick, e)...)
	case "":
		rows = append(r.notes(nick, e), r.enters(nick, e)...)
		r.open = r.open || rs.cfg.Component != "" && r.shows()
	}
	if len(rows) > 0 {
		rs.cfg.Journal.SetState(bridge.XMPP, rows...)
	}
	rs.mu.Unlock()
	r.changed.Wake()
	if unwanted != "" {
		rs.Invitations.end(r.jid, unwanted)
	}
}

// enters needs rooms.mu.
func (r *room) enters(nick string, e *stanza.Element) (rows []bridge.StateRow) {
	if nick == "" {
		return nil
	}
	rows = r.know(nick, realOf(e.Only(stanza.NSMUCUser, "x")))
	if r.announced != nil {
		r.announced[nick] = true
	}
	codes := statuses(e)
	if slices.Contains(codes, "201") && (r.in == "" || r.announced != nil) {
		r.refused = created // it is to go away again
		return rows
	}
	if slices.Contains(codes, "110") && (r.in != nick || r.announced != nil) { // XEP-0045 §7.2.2: that is us, told last
		rows = append(rows, r.seated(nick)...)
		r.open = slices.Contains(codes, "100")
	}
	return rows
}

// seated notes that a join was answered: who was not told of since it was sent is not in the room any more. It needs
// rooms.mu.
func (r *room) seated(nick string) (rows []bridge.StateRow) {
	if r.announced != nil {
		for other := range r.people.real {
			if !r.announced[other] {
				rows = append(rows, r.forget(other)...)
			}
		}
		rows = append(rows, r.pruneRoles(r.announced)...)
	}
	r.in, r.gone, r.refused, r.suspected, r.announced = nick, "", "", false, nil
	return append(rows, bridge.StateRow{Key: keyRoom + r.jid, Value: []byte(nick)})
}

// know needs rooms.mu.
func (r *room) know(nick, real string) []bridge.StateRow {
	switch {
	case r.people.real[nick] == real:
		return nil
	case real == "":
		return r.forget(nick)
	}
	r.people.put(nick, real)
	r.who.members = nil
	return []bridge.StateRow{{Key: keyOccupant + r.jid + "/" + nick, Value: []byte(real)}}
}

// leaves needs rooms.mu.
func (r *room) leaves(nick string, e *stanza.Element) []bridge.StateRow {
	codes, x := statuses(e), e.Child(stanza.NSMUCUser, "x")
	if nick != r.in && !slices.Contains(codes, "110") {
		return r.forget(nick)
	}
	if next := x.Child(stanza.NSMUCUser, "item").AttrOr("nick"); slices.Contains(codes, "303") && next != "" { // §7.6
		rows := r.know(next, r.people.real[nick])
		rows = append(rows, r.forget(nick)...)
		r.in = next
		return append(rows, bridge.StateRow{Key: keyRoom + r.jid, Value: []byte(next)})
	}
	rows := r.clear()
	r.gone = "we are out of the room"
	switch {
	case x.Child(stanza.NSMUCUser, "destroy") != nil:
		r.gone = "the room was destroyed"
	case slices.Contains(codes, "301"):
		r.gone = "we were banned"
	case slices.Contains(codes, "307"):
		r.gone = "we were kicked"
	case slices.Contains(codes, "321"), slices.Contains(codes, "322"):
		r.gone = "we are not a member"
	case slices.Contains(codes, "332"):
		r.gone = "the room service stops"
	}
	return rows
}

// whyUnwanted says why the room, or somebody in it, does not want the relay any more; empty: it does not say so. Whom a room throws out over an
// error of the network it names nobody for.
func whyUnwanted(e *stanza.Element, ours bool) string {
	codes, x := statuses(e), e.Child(stanza.NSMUCUser, "x")
	switch {
	case !ours && !slices.Contains(codes, "110"):
	case x.Child(stanza.NSMUCUser, "destroy") != nil:
		return "the room was destroyed"
	case slices.Contains(codes, "301"):
		return "we were banned"
	case slices.Contains(codes, "321"):
		return "we are not a member"
	case slices.Contains(codes, "307") && x.Child(stanza.NSMUCUser, "item").Child(stanza.NSMUCUser, "actor") != nil:
		return "we were kicked"
	}
	return ""
}

// forget needs rooms.mu.
func (r *room) forget(nick string) []bridge.StateRow {
	if !r.people.remove(nick) {
		return nil
	}
	r.who.members = nil
	return []bridge.StateRow{{Key: keyOccupant + r.jid + "/" + nick}}
}

// at is the room of that address; nil: it is none of ours. It needs no lock.
func (rs *Rooms) at(j string) *room { return (*rs.set.Load())[j] }

// all are the rooms by address, those that are being left among them. It needs no lock, and is not to be changed.
func (rs *Rooms) all() map[string]*room { return *rs.set.Load() }

package bridge

// Groups are the served rooms, by bare address, each with its member landlines. A room that is no key is
// not served; a served room may have no members.
type Groups map[string][]string

// Belonging is what rooms say of who belongs to them. The XMPP side implements it.
type Belonging interface {
	// Members adds to those who have a row for a room whom the room counts as its own. It never waits, and may be called from any goroutine.
	Members(room string, rows []string) []string
	// Follows tells whether a room is served because the relay was invited there. It may be called likewise.
	Follows(room string) bool
}

// Directory is which rooms are served and who has a row for them, at one moment: it never changes, and a newer one takes
// its place. Who decides about a message asks for it once, so that one message is judged by one directory.
type Directory struct {
	groups Groups
	rows   map[string]map[string]bool // the same: room, then landline
	rooms  Belonging                  // nil: rows alone count
}

// NewDirectory makes one. The groups are its own from here on.
func NewDirectory(groups Groups) *Directory {
	d := &Directory{groups: groups, rows: make(map[string]map[string]bool, len(groups))}
	for room, members := range groups {
		d.rows[room] = make(map[string]bool, len(members))
		for _, m := range members {
			d.rows[room][m] = true
		}
	}
	return d
}

// With has rooms asked who else belongs to them. It returns the directory.
func (d *Directory) With(rooms Belonging) *Directory {
	d.rooms = rooms
	return d
}

// Serves tells whether the room is a group.
func (d *Directory) Serves(room string) bool {
	_, served := d.groups[room]
	return served || d.rooms != nil && d.rooms.Follows(room)
}

// Members are the landlines of a group: in the order of the groups file, then those whom the room itself counts as its own, perhaps again.
// They are not to be changed.
func (d *Directory) Members(room string) []string {
	if d.rooms == nil {
		return d.groups[room]
	}
	return d.rooms.Members(room, d.groups[room])
}

// HasRow tells whether the groups file says that the landline is a member.
func (d *Directory) HasRow(room, landline string) bool { return d.rows[room][landline] }

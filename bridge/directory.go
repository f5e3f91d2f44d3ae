package bridge

// Groups are the served rooms, by bare address, each with its member landlines. A room that is no key is
// not served; a served room may have no members.
type Groups map[string][]string

// Directory is which rooms are served and who belongs to them, at one moment: it never changes, and a newer one takes
// its place. Who decides about a message asks for it once, so that one message is judged by one directory.
type Directory struct {
	groups Groups
	rows   map[string]map[string]bool // the same: room, then landline
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

// Serves tells whether the room is a group.
func (d *Directory) Serves(room string) bool {
	_, served := d.groups[room]
	return served
}

// Members are the landlines of a group, in the order of the groups file. They are not to be changed.
func (d *Directory) Members(room string) []string { return d.groups[room] }

// HasRow tells whether the groups file says that the landline is a member.
func (d *Directory) HasRow(room, landline string) bool { return d.rows[room][landline] }

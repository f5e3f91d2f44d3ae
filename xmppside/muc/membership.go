package muc

import (
	"context"
	"slices"
	"strings"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// membership is what is known of who belongs to a room: voices of those who are in it, and affiliations, of its lists
// (XEP-0045 §9) and from what it says as they change. Guarded by rooms.mu.
type membership struct {
	roles        map[string]string // by nick; also in the journal, as occupants are
	affiliations map[string]string // by bare JID or domain; none is left out

	members []string // what Members.Of last made of it; nil: something has changed
	before  []string // who was on the lists when they were known last
	saved   string   // the same, as the journal has it
	crowded bool     // there were too many, and that was said

	sure     Login     // the login on which all of it was true, once it was learnt
	since    time.Time // since when it is not known; zero: it is, or nobody has asked
	asked    time.Time // when the lists were; zero: not since we came in
	news     map[string]string
	cut      int       // how often a login ended while a list was asked
	tried    time.Time // when they were asked last, whatever came of it
	unlisted bool
}

const (
	// A room that was not there for so long is out of reach: inbox copies of those who have a row wait no longer. A
	// restart of relay or server takes a few seconds.
	outOfReachAfter = 30 * time.Second
	lostAfter       = 24 * time.Hour   // a room is given up then
	askListsEvery   = 10 * time.Minute // changes are told as they come; this is in case one was not
	mostCuts        = 2
)

const (
	outcast = "outcast"
	visitor = "visitor"
)

// Standing is what a room knows of a bare JID; c is the login there is, or nil, and age how long messages could go out on it.
func (rs *Rooms) Standing(j, bare string, c Login, age time.Duration, now time.Time) bridge.Standing {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.at(j)
	switch {
	case r == nil:
		return bridge.StandingNone
	case r.in != "" && r.who.sure == c && c != nil && c.Context().Err() == nil:
		return r.standing(bare)
	}
	if r.who.since.IsZero() {
		r.who.since = now
	}
	out := now.Sub(r.who.since)
	lost := out > lostAfter && c != nil && age > lostAfter
	switch {
	case r.who.affiliation(bare) == outcast && lost:
		return bridge.StandingOutcast
	case lost:
		return bridge.StandingLost
	case out > outOfReachAfter && r.who.affiliation(bare) != outcast:
		return bridge.StandingOutOfReach
	}
	return bridge.StandingUnknown
}

// standing needs rooms.mu.
func (r *room) standing(bare string) bridge.Standing {
	if bare == "" {
		return bridge.StandingNone
	}
	affiliation := r.who.affiliation(bare)
	if affiliation == outcast {
		return bridge.StandingOutcast
	}
	there := false
	for _, nick := range r.people.nicks[bare] {
		if role := r.who.roles[nick]; role == "participant" || role == "moderator" {
			return bridge.StandingMember
		}
		there = true
	}
	switch {
	case there: // his voice was taken, or the room is moderated and he was given none
		return bridge.StandingVisitor
	case affiliation != "":
		return bridge.StandingMember
	}
	return bridge.StandingNone
}

// affiliation needs rooms.mu. A whole domain can be banned.
func (m *membership) affiliation(bare string) string {
	if a := m.affiliations[bare]; a != "" {
		return a
	}
	if domain := stanza.Domain(bare); m.affiliations[domain] == outcast {
		return outcast
	}
	return ""
}

// notes takes what a presence says of roles and affiliations. It needs rooms.mu, and who sits behind the nick.
func (r *room) notes(nick string, e *stanza.Element) (rows []bridge.StateRow) {
	x := e.Only(stanza.NSMUCUser, "x")
	if nick == "" || x == nil {
		return nil
	}
	role := ""
	for _, it := range x.All(stanza.NSMUCUser, "item") {
		real := it.Get("jid")
		if real == "" {
			real = r.people.real[nick]
		}
		// A landline's seat shows what the component's domain is in the room (ejabberd): only the lists say what a landline itself is.
		if bare, affiliation := stanza.Bare(real), it.Get("affiliation"); !r.people.landline(bare) || affiliation == outcast || affiliation == "none" {
			r.who.affiliate(bare, affiliation)
		}
		role = it.Get("role")
	}
	key := keyRole + r.jid + "/" + nick
	switch {
	case e.Get("type") == "unavailable" || role == "" || role == "none":
		if _, known := r.who.roles[nick]; known {
			delete(r.who.roles, nick)
			rows = append(rows, bridge.StateRow{Key: key})
		}
	case r.who.roles[nick] != role:
		r.who.setRole(nick, role)
		rows = append(rows, bridge.StateRow{Key: key, Value: []byte(role)})
	}
	return rows
}

func (m *membership) setRole(nick, role string) {
	if m.roles == nil {
		m.roles = map[string]string{}
	}
	m.roles[nick] = role
}

// affiliate needs rooms.mu.
func (m *membership) affiliate(bare, affiliation string) {
	if bare == "" {
		return
	}
	if m.affiliations == nil {
		m.affiliations = map[string]string{}
	}
	m.members = nil
	switch affiliation {
	case outcast, "member", "admin", "owner":
		m.affiliations[bare] = affiliation
	case "none":
		delete(m.affiliations, bare)
	default:
		return
	}
	if m.news != nil {
		m.news[bare] = affiliation
	}
}

// affiliated follows changes for people who are not in the room: it tells them by message (XEP-0045 §9).
func (rs *Rooms) affiliated(e *stanza.Element) {
	r := rs.at(stanza.Bare(e.Get("from")))
	if r == nil || stanza.Resource(e.Get("from")) != "" || e.Get("type") == "error" {
		return
	}
	x := e.Only(stanza.NSMUCUser, "x")
	if x == nil {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, it := range x.All(stanza.NSMUCUser, "item") {
		r.who.affiliate(stanza.Bare(it.Get("jid")), it.Get("affiliation"))
	}
}

// forgetRoles needs rooms.mu.
func (r *room) forgetRoles() []bridge.StateRow {
	r.forgetLists()
	return r.pruneRoles(nil)
}

// pruneRoles forgets all roles but those of some nicks. It needs rooms.mu.
func (r *room) pruneRoles(except map[string]bool) (rows []bridge.StateRow) {
	for nick := range r.who.roles {
		if !except[nick] {
			delete(r.who.roles, nick)
			rows = append(rows, bridge.StateRow{Key: keyRole + r.jid + "/" + nick})
		}
	}
	return rows
}

// forgetLists needs rooms.mu. Who was banned when the room was left is taken to be so until it says otherwise.
func (r *room) forgetLists() {
	if !r.who.asked.IsZero() {
		r.who.before = r.who.listed()
	}
	r.who.sure, r.who.asked, r.who.members = nil, time.Time{}, nil
	for bare, a := range r.who.affiliations {
		if a != outcast {
			delete(r.who.affiliations, bare)
		}
	}
}

// restoreRole takes in what the journal remembers of an occupant; false: of none that is here.
func (rs *Rooms) restoreRole(at, role string) bool {
	r := rs.at(stanza.Bare(at))
	if r == nil {
		return false
	}
	r.who.setRole(stanza.Resource(at), role)
	return true
}

// incomplete tells whether the journal is of a version that kept no roles: the room is to be joined anew. It needs rooms.mu.
func (r *room) incomplete() bool {
	for nick := range r.people.real {
		if r.who.roles[nick] == "" {
			return true
		}
	}
	return false
}

// learn makes sure that it is known who belongs to the room we are in.
func (r *room) learn(ctx context.Context, rs *Rooms, c Login) error {
	rs.mu.Lock()
	due := r.who.due(time.Now())
	if due {
		r.who.news = map[string]string{}
	}
	rs.mu.Unlock()
	if due {
		if err := r.askLists(ctx, rs, c); err != nil {
			return err
		}
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.who.sure, r.who.since = c, time.Time{}
	if rows := rs.Members.save(r); len(rows) > 0 && rs.cfg.Component != "" {
		rs.cfg.Journal.SetState(bridge.XMPP, rows...)
	}
	return nil
}

// due tells whether the lists are to be asked now. It counts as cut until they have come. After too many it waits: it may
// have been a list that ended the logins, or chance.
func (m *membership) due(now time.Time) bool {
	if now.Sub(m.asked) <= askListsEvery || m.cut >= mostCuts && now.Sub(m.tried) <= askListsEvery {
		return false
	}
	m.cut, m.tried = min(m.cut, mostCuts-1)+1, now
	return true
}

// askLists asks who is banned, and who belongs to the room. A list that we may not see leaves what is known otherwise.
func (r *room) askLists(ctx context.Context, rs *Rooms, c Login) error {
	found := map[string]string{}
	var hidden []string
	for _, list := range []string{outcast, "member", "admin", "owner"} {
		answer, err := c.Ask(ctx, r.jid, "get", listQuery(list))
		switch {
		case isHidden(err):
			hidden = append(hidden, list)
			continue
		case err != nil:
			if ctx.Err() == nil { // a room that does not answer does not end logins
				rs.mu.Lock()
				r.who.cut--
				rs.mu.Unlock()
			}
			return &listError{err}
		}
		if q := answer.Child(stanza.NSMUCAdmin, "query"); q != nil {
			for _, it := range q.All(stanza.NSMUCAdmin, "item") {
				found[stanza.Bare(it.Get("jid"))] = list
			}
		}
	}
	rs.mu.Lock()
	r.who.take(found, hidden)
	rs.mu.Unlock()
	if slices.Contains(hidden, outcast) && !r.who.unlisted {
		r.who.unlisted = true // of this goroutine, and of the next login's behind it
		rs.cfg.Log.Warn().Str("room", r.jid).Msg("the room does not show its ban list to the relay: who is banned while he is not in the room, and has a row in CHATRELAY_GROUPS_FILE, may post, and who is a member and not there gets nothing into the inbox without one. " + AdminFix)
	}
	return nil
}

// isHidden tells whether a room does not show a list to us, or to nobody. Any other answer may be another one soon.
func isHidden(err error) bool {
	return stanza.IsCondition(err, "forbidden", "not-allowed", "not-authorized", "feature-not-implemented")
}

func listQuery(list string) string {
	return "<query xmlns='" + stanza.NSMUCAdmin + "'><item affiliation='" + list + "'/></query>"
}

// AdminFix is how a relay gets to see a room's lists.
const AdminFix = "Make the relay's account an admin of the room"

// take puts lists in the place of what was known. It needs rooms.mu.
func (m *membership) take(found map[string]string, hidden []string) {
	for bare, a := range m.affiliations {
		if slices.Contains(hidden, a) && found[bare] == "" {
			found[bare] = a
		}
	}
	delete(found, "")
	news := m.news
	m.affiliations, m.news, m.members = found, nil, nil
	for bare, a := range news { // said while we asked
		m.affiliate(bare, a)
	}
	m.asked, m.cut = time.Now(), 0
}

// setUncertain notes that we may not be in the room any more.
func (rs *Rooms) setUncertain(r *room) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r.who.sure = nil; r.who.since.IsZero() {
		r.who.since = time.Now()
	}
}

// listError: the room does not say who belongs to it.
type listError struct{ err error }

func (e *listError) Error() string {
	return "the room does not say who belongs to it: " + strings.TrimPrefix(e.err.Error(), "xmpp: ")
}

func (e *listError) Unwrap() error { return e.err }

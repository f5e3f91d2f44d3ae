package muc

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/stanza"
)

const (
	seatTick    = 20 * time.Millisecond // between the first looks whether a join was answered
	seatWithin  = 10 * time.Second      // for the answer
	seatIdle    = time.Hour             // without a word: the landline leaves
	seatRefused = time.Hour             // a room that lets a landline not in is not asked again before
	seatPause   = time.Minute           // the same of one that says he is not in it
	seatSweep   = time.Minute
	seatQueue   = time.Second // between the looks of those who wait for others' joins to be answered
	mostSeats   = 100         // of one room: each hears all that is said there, and who comes and goes
	mostJoins   = 10          // of one room that are not answered
	mostKnown   = 10_000      // landlines in rooms of which something is remembered
)

// Seats are landlines as occupants of rooms (component). Each joins when it first speaks, and leaves when it has not spoken for long. Who is
// in a room is what the room tells the relay's own occupant: so the landlines that were in it before a crash are known, too. Where a
// landline gets no seat the relay's own occupant speaks for it.
type Seats struct {
	rooms *Rooms
	idle  time.Duration

	mu      sync.Mutex // guards all below
	known   map[seatKey]*seat
	joining map[string]int // by room: how many are asked for and not answered
}

// seatKey is a landline in a room. Both are bare JIDs.
type seatKey struct{ room, address string }

// seat is what is known of one beyond what the room tells.
type seat struct {
	tries  int       // nicks that were taken
	unseen bool      // its last join was not answered, or not shown to the relay
	asked  time.Time // when it was asked to be let in; zero: it is not
	until  time.Time // before that the relay speaks for it
	banned bool      // until then, nobody does
	spoke  bool      // it had a voice
	used   time.Time // when it spoke last, or was first seen
}

func newSeats(rs *Rooms) *Seats {
	return &Seats{rooms: rs, idle: seatIdle, known: map[seatKey]*seat{}, joining: map[string]int{}}
}

// untriedError says that a delivery waits for its sender's seat.
type untriedError struct{ *laterError }

// Untried implements bridge.Untried.
func (untriedError) Untried() {}

// Take sees to it that a landline has a seat where it can. full is its address; nick tells what it is called, once it is to be let in. nil: it may speak, or the relay
// for it, as Nick says; a RetryLater: it is being let in.
func (s *Seats) Take(c Login, room, full string, nick func() string) error {
	at := seatKey{room, stanza.Bare(full)}
	try, err := s.next(at, time.Now())
	if try == 0 {
		return err
	}
	join := nick()
	if try > 1 {
		join = fmt.Sprintf("%s_%d", join, try)
	}
	if c.Write(stanza.From(joinPresence(room+"/"+join, time.Time{}), full)) != nil {
		return bridge.ErrDown
	}
	return err
}

// next is what Take returns, and with which of its nicks the landline is to be let in now, from 1; 0: not now.
func (s *Seats) next(at seatKey, now time.Time) (try int, err error) {
	there := s.seatOf(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.remember(at)
	x.used = now
	switch {
	case there.banned, now.Before(x.until) && x.banned:
		return 0, bridge.Refuse(bridge.NotMember, "the room has banned the sender's address")
	case there.mute && x.spoke:
		return 0, bridge.Refuse(bridge.NotMember, "the room has taken the sender's voice")
	case there.nick != "":
		x.tries, x.banned, x.spoke, x.unseen = 0, false, true, false
		s.ask(at, x, time.Time{})
		return 0, nil
	case now.Before(x.until), !there.open:
		return 0, nil
	case !x.asked.IsZero() && now.Sub(x.asked) < seatWithin:
		return 0, at.waits(now.Sub(x.asked) / 2)
	case !x.asked.IsZero(): // no answer
		s.ask(at, x, time.Time{})
		if x.until, x.banned = now.Add(seatPause), false; x.unseen { // so it is: each time costs what he says seatWithin
			x.until = now.Add(seatRefused)
		}
		x.unseen = true
		return 0, nil
	case x.tries > mostNicks:
		x.tries, x.until, x.banned = 0, now.Add(seatRefused), false
		return 0, nil
	case there.crowd+s.joining[at.room] >= mostSeats:
		return 0, nil
	case s.joining[at.room] >= mostJoins:
		return 0, at.waits(seatQueue)
	}
	s.ask(at, x, now)
	return x.tries + 1, at.waits(0)
}

// remember is what is known of a landline in a room. Where there is too much another is forgotten of which little is lost: it is asked again
// whether the room lets it in. s.mu is held.
func (s *Seats) remember(at seatKey) *seat {
	x := s.known[at]
	if x != nil {
		return x
	}
	if len(s.known) >= mostKnown {
		var last seatKey
		for other, y := range s.known {
			if last = other; y.asked.IsZero() && !y.spoke {
				break
			}
		}
		s.ask(last, s.known[last], time.Time{})
		delete(s.known, last)
	}
	x = &seat{}
	s.known[at] = x
	return x
}

// ask notes when a seat was asked for; zero: it is not any more. s.mu is held.
func (s *Seats) ask(at seatKey, x *seat, when time.Time) {
	switch {
	case x.asked.IsZero() && !when.IsZero():
		s.joining[at.room]++
	case !x.asked.IsZero() && when.IsZero():
		if s.joining[at.room]--; s.joining[at.room] == 0 {
			delete(s.joining, at.room)
		}
	}
	x.asked = when
}

// waits says that the sender is being let in, and when to look again. Who waits long looks seldom: there may be many.
func (at seatKey) waits(pause time.Duration) error {
	return untriedError{&laterError{"the sender joins room " + at.room, max(seatTick, pause)}}
}

// Nick is that of a landline in a room; empty: it has no seat there, or may not use it now, and the relay speaks for it.
func (s *Seats) Nick(room, address string) string {
	at := seatKey{room, address}
	nick := s.seatOf(at).nick
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.known[at]; x != nil && time.Now().Before(x.until) {
		return ""
	}
	return nick
}

// Hears tells whether a stanza is what a room says to a landline: the relay's own occupant hears the same. What the room refuses him is
// noted; errors that answer what he has said are not taken.
func (s *Seats) Hears(e *stanza.Element) bool {
	at := seatKey{stanza.Bare(e.Get("from")), stanza.Bare(e.Get("to"))}
	if !s.rooms.cfg.landline(at.address) || !s.rooms.Ours(at.room) {
		return false
	}
	if e.Name.Local != "presence" {
		return e.Get("type") == "groupchat"
	}
	if e.Get("type") == "error" {
		s.refused(at, stanza.ErrorOf(e).Condition)
	}
	return true
}

// refused takes why a room lets a landline not in.
func (s *Seats) refused(at seatKey, condition string) {
	s.mu.Lock()
	x := s.known[at]
	if x == nil || x.asked.IsZero() {
		s.mu.Unlock()
		return
	}
	s.ask(at, x, time.Time{})
	if condition == "conflict" { // XEP-0045 §7.2.8
		x.tries++
		s.mu.Unlock()
		return
	}
	if x.banned = condition == "forbidden"; x.banned { // §7.2.7: nobody speaks for him
		x.until = time.Now().Add(seatPause)
	} else {
		x.until = time.Now().Add(seatRefused)
	}
	s.mu.Unlock()
	s.rooms.cfg.Log.Debug().Str("room", at.room).Str("landline", at.address).Str("condition", condition).
		Msg("the room does not let the landline in: the relay speaks for it, unless it is banned")
}

// unseated notes that a room has said of a landline that he is not in it.
func (s *Seats) unseated(room, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.known[seatKey{room, address}]; x != nil {
		x.until, x.banned = time.Now().Add(seatPause), false
	}
}

// reset is for a new connection: what was asked before is not answered any more.
func (s *Seats) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, x := range s.known {
		s.ask(at, x, time.Time{})
	}
}

// Unmake takes away a room that a landline's join has made (XEP-0045 §10.1.1): it was gone, and the relay had not heard of it. nil: it has
// made none.
func (s *Seats) Unmake(e *stanza.Element) []byte {
	room := stanza.Bare(e.Get("from"))
	if e.Name.Local != "presence" || e.Get("type") != "" || !slices.Contains(statuses(e), "201") {
		return nil
	}
	if r := s.rooms.at(room); r != nil {
		s.rooms.lost(r, "item-not-found")
	}
	iq := stanza.AppendAttr([]byte("<iq type='set' id='unmake'"), "to", room)
	return stanza.From(append(iq, "><query xmlns='"+stanza.NSMUCOwner+"'><destroy/></query></iq>"...), e.Get("to"))
}

// Sweep lets landlines leave that have not spoken for long, as long as the login lasts.
func (s *Seats) Sweep(ctx context.Context, c Login) {
	for wait.Pause(ctx, min(seatSweep, s.idle)) {
		for _, leave := range s.leaving(time.Now()) {
			if c.Write(leave) != nil {
				return
			}
		}
	}
}

// leaving are the goodbyes that are due.
func (s *Seats) leaving(now time.Time) (out [][]byte) {
	there := s.seated()
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, full := range there {
		x := s.known[at]
		if x == nil { // it came before the relay was started
			x = &seat{used: now}
			s.known[at] = x
		}
		if now.Sub(x.used) >= s.idle {
			out = append(out, full.leave(at.room))
		}
	}
	for at, x := range s.known {
		if _, in := there[at]; !in && now.Sub(x.used) >= s.idle {
			s.ask(at, x, time.Time{})
			delete(s.known, at)
		}
	}
	return out
}

// occupantOf is a landline's nick in a room, and its address there.
type occupantOf struct{ nick, real string }

func (o occupantOf) leave(room string) []byte {
	return stanza.From(leavePresence(room+"/"+o.nick), o.real)
}

// leaveAll are the goodbyes of all landlines in a room.
func (s *Seats) leaveAll(room string) (out [][]byte) {
	for at, who := range s.seated() {
		if at.room == room {
			out = append(out, who.leave(room))
		}
	}
	return out
}

// Stray is the goodbye to a room that is not served, and in which a landline, or the relay itself, sits all the same: it did when the relay
// ended, and the room was taken out of service meanwhile. nil: the stanza tells of none.
func (s *Seats) Stray(e *stanza.Element) []byte {
	from, to := e.Get("from"), e.Get("to")
	ours := s.rooms.cfg.Component != "" && (stanza.Bare(to) == s.rooms.cfg.Component || s.rooms.cfg.landline(stanza.Bare(to)))
	if e.Get("type") != "groupchat" || !ours || s.rooms.Ours(stanza.Bare(from)) {
		return nil
	}
	return stanza.From(leavePresence(from), to)
}

// standing is how a landline is with a room.
type standing struct {
	nick   string // empty: it has no seat with a voice
	open   bool   // the room tells who is in it
	banned bool
	mute   bool // it sits there without a voice
	crowd  int  // how many other landlines are in it
}

// seatOf finds a landline in a room.
func (s *Seats) seatOf(at seatKey) (out standing) {
	rs := s.rooms
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.at(at.room)
	if r == nil {
		return out
	}
	out.open, out.banned = r.open, r.who.affiliation(at.address) == outcast
	own := r.people.nicks[at.address]
	for _, nick := range own {
		if r.who.roles[nick] != visitor {
			out.nick = nick
		} else {
			out.mute, out.open = true, false // the room hears the relay only
		}
	}
	out.crowd = r.people.seated - len(own)
	return out
}

// seated are all landlines that are in rooms.
func (s *Seats) seated() map[seatKey]occupantOf {
	rs := s.rooms
	rs.mu.Lock()
	defer rs.mu.Unlock()
	out := map[seatKey]occupantOf{}
	for _, r := range rs.all() {
		for nick, real := range r.people.real {
			if bare := stanza.Bare(real); rs.cfg.landline(bare) {
				out[seatKey{r.jid, bare}] = occupantOf{nick, real}
			}
		}
	}
	return out
}

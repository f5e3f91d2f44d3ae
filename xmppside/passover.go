package xmppside

import (
	"context"

	"chatrelay/xmppside/stanza"
)

// passOver is for an archived message that is above what is read of a stanza: a server may write more than it has got
// (Prosody names a namespace anew in each child). It ends each connection that asks for it, so it is to be asked for
// once only. Guarded by archive.mu.
type passOver struct {
	walk   string // the newest query that walks from the cursor
	search string // the newest that looks for what we have sent
	id     string // of such a message: all before it was handed on
	blind  bool   // there is one where we would look for what we have sent

	rooms map[string]*roomPass
}

// roomPass is for the archive of a room, in which we look for what it has of us.
type roomPass struct {
	lookUp string // the newest query
	behind string // id of such a message: all before it was looked at
	times  int    // how many there were
}

// mostPasses is how many such messages of a room are passed over in one look-up. Each costs a connection.
const mostPasses = 10

func (p *passOver) room(j string) *roomPass {
	r := p.rooms[j]
	if r == nil {
		r = &roomPass{}
		if p.rooms == nil {
			p.rooms = map[string]*roomPass{}
		}
		p.rooms[j] = r
	}
	return r
}

// asks notes a query of our own archive.
func (p *passOver) asks(q *query, id string) {
	switch {
	case q.of != "":
		p.room(q.of).lookUp = id
	case q.before:
	case q.search:
		p.search = id
	default:
		p.walk = id
	}
}

// passedOver is given what was read of a message before the connection ended over it.
func (a *archive) passedOver(e *stanza.Element) {
	res := e.Only(stanza.NSMAM, "result")
	if res == nil {
		return
	}
	from, id, query := e.Get("from"), res.Get("id"), res.Get("queryid")
	a.mu.Lock()
	defer a.mu.Unlock()
	switch r := a.over.rooms[from]; {
	case query == "" || id == "" || len(id) > stanza.MostID:
	case r != nil && query == r.lookUp:
		r.behind, r.times = id, r.times+1
	case !a.s.addr.self(from):
	case query == a.over.search:
		a.over.blind = true
	case query == a.over.walk:
		a.over.id = id
	}
}

// stepOver moves the cursor behind such a message, once all before it is in the journal: what could not be kept forgets it.
func (a *archive) stepOver(ctx context.Context) error {
	a.mu.Lock()
	id := a.over.id
	a.mu.Unlock()
	if id == "" {
		return nil
	}
	if err := a.s.inbox.settled(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over.id != id {
		return nil
	}
	a.over.id = ""
	at := cursor{ID: id, At: a.at.At, Taken: a.at.hashes()}
	a.pending = pendingCursor{at: at}
	a.moveCursor(at)
	a.s.log.Warn().Str("archive_id", id).Msg("a message in the archive is too large to be read: it is passed over")
	return nil
}

// blind tells whether what we have sent cannot be looked for.
func (a *archive) blind() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over.blind
}

// behind is where to go on in a room's archive; empty: at its beginning. Not ok: it has too many such messages.
func (a *archive) behind(room string) (id string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.over.rooms[room]
	if r == nil {
		return "", true
	}
	return r.behind, r.times <= mostPasses
}

// lookedUp forgets where a look-up in a room's archive was.
func (a *archive) lookedUp(room string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.over.rooms, room)
}

package mam

import (
	"sync"

	"chatrelay/xmppside/stanza"
)

// passOver is for an archived message that is above what is read of a stanza: a server may write more than it has got
// (Prosody names a namespace anew in each child). It ends each connection that asks for it, so it is to be asked for
// once only. It may be used from any goroutine.
type passOver struct {
	account string

	mu     sync.Mutex // guards all below
	walk   string     // the newest query that walks from the cursor
	search string     // the newest that looks for what we have sent
	blind  bool       // there is one where we would look for what we have sent
	rooms  map[string]*roomPass
}

// roomPass is for the archive of a room, in which we look for what it has of us.
type roomPass struct {
	lookUp string // the newest query
	behind string // id of such a message: all before it was looked at
	times  int    // how many there were
}

// mostPasses is how many such messages of a room are passed over in one look-up. Each costs a connection.
const mostPasses = 10

// room is called with p.mu held.
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

// asks notes a query.
func (p *passOver) asks(q *query, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
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

// met is given what was read of a message before the connection ended over it. When it stood in a walk from the cursor its id
// is returned.
func (p *passOver) met(e *stanza.Element) (cursorID string) {
	res := e.Only(stanza.NSMAM, "result")
	if res == nil {
		return ""
	}
	from, id, query := e.Get("from"), res.Get("id"), res.Get("queryid")
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r := p.rooms[from]; {
	case query == "" || id == "" || len(id) > stanza.MostID:
	case r != nil && query == r.lookUp:
		r.behind, r.times = id, r.times+1
	case !ours(p.account, from):
	case query == p.search:
		p.blind = true
	case query == p.walk:
		return id
	}
	return ""
}

// isBlind tells whether what we have sent cannot be looked for.
func (p *passOver) isBlind() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.blind
}

// unblind notes that it can be, from here on.
func (p *passOver) unblind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blind = false
}

// behind is where to go on in a room's archive; empty: at its beginning. Not ok: it has too many such messages.
func (p *passOver) behind(room string) (id string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rooms[room]
	if r == nil {
		return "", true
	}
	return r.behind, r.times <= mostPasses
}

// lookedUp forgets where a look-up in a room's archive was.
func (p *passOver) lookedUp(room string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.rooms, room)
}

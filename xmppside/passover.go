package xmppside

import "context"

// passOver is for an archived message that is above what is read of a stanza: a server may write more than it has got
// (Prosody names a namespace anew in each child). It ends each connection that asks for it, so it is to be asked for
// once only. Guarded by archive.mu.
type passOver struct {
	walk   string // the newest query that walks from the cursor
	search string // the newest that looks for what we have sent
	id     string // of such a message: all before it was handed on
	blind  bool   // there is one where we would look for what we have sent
}

// asks notes a query of our own archive.
func (p *passOver) asks(q *query, id string) {
	switch {
	case q.of != "" || q.before:
	case q.search:
		p.search = id
	default:
		p.walk = id
	}
}

// tooLarge is given what was read of a message before the connection ended over it.
func (a *archive) tooLarge(e *element) {
	res := e.only(nsMAM, "result")
	if res == nil || !a.s.addr.self(e.get("from")) {
		return
	}
	id, query := res.get("id"), res.get("queryid")
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case query == "" || id == "" || len(id) > mostID:
	case query == a.over.search:
		a.over.blind = true
	case query == a.over.walk:
		a.over.id = id
	}
}

// step moves the cursor behind such a message, once all before it is in the book: what could not be kept forgets it.
func (a *archive) step(ctx context.Context) error {
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
	at := cursor{ID: id, At: a.at.At, Taken: a.at.marks()}
	a.trail = trail{at: at}
	a.stand(at)
	a.s.log.Warn().Str("archive_id", id).Msg("a message in the archive is too large to be read: it is passed over")
	return nil
}

// blind tells whether what we have sent cannot be looked for.
func (a *archive) blind() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over.blind
}

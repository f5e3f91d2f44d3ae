package xmppside

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

const (
	pageSize   = 100
	findWithin = 5 * time.Second
	findBack   = 10 * time.Minute
)

// query is one page to ask for (XEP-0313 §4, XEP-0059).
type query struct {
	of     string // whose archive: a room's; empty: our own
	start  time.Time
	after  string
	before bool // the last page
	search bool // for what we have sent
	max    int
}

// byTime tells whether the place to begin at was not known.
func (q *query) byTime() bool { return !q.start.IsZero() }

func (q *query) payload(id string) string {
	b := stanza.AppendAttr([]byte("<query xmlns='"+stanza.NSMAM+"'"), "queryid", id)
	b = append(b, "><x xmlns='"+stanza.NSForms+"' type='submit'><field var='FORM_TYPE' type='hidden'><value>"+stanza.NSMAM+"</value></field>"...)
	if !q.start.IsZero() {
		b = append(b, "<field var='start'><value>"+q.start.UTC().Format(stanza.StampLayout)+"</value></field>"...)
	}
	b = append(b, "</x><set xmlns='"+stanza.NSRSM+"'><max>"+strconv.Itoa(q.max)+"</max>"...)
	if q.after != "" {
		b = append(stanza.AppendText(append(b, "<after>"...), []byte(q.after)), "</after>"...)
	}
	if q.before {
		b = append(b, "<before/>"...)
	}
	return string(append(b, "</set></query>"...))
}

// fin is how a page ends.
type fin struct {
	last     string
	complete bool
}

// wanted takes the results of a page until that ends.
type wanted struct {
	of   string
	mu   sync.Mutex // held while a result is taken; guards each
	each func(sm.Handle, result)
}

func (w *wanted) take(m sm.Handle, r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.each == nil {
		m.Done() // nobody waits any more; it is in the archive still
		return
	}
	w.each(m, r)
}

func (w *wanted) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.each = nil
}

// page asks for one page; each is called for its results, on the goroutine that reads, before page returns.
func (a *archive) page(ctx context.Context, c *login, q query, each func(sm.Handle, result)) (fin, error) {
	id := rand.Text()[:16]
	w := &wanted{of: q.of, each: each}
	a.mu.Lock()
	a.queries[id] = w
	a.over.asks(&q, id)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.queries, id)
		a.mu.Unlock()
		w.end()
	}()
	e, err := c.ask(ctx, q.of, "set", q.payload(id))
	if err != nil {
		return fin{}, err
	}
	end := e.Child(stanza.NSMAM, "fin")
	if end == nil {
		return fin{}, errors.New("the archive's answer has no end")
	}
	out := fin{complete: end.Get("complete") == "true" || end.Get("complete") == "1"}
	if last := end.Child(stanza.NSRSM, "set").Child(stanza.NSRSM, "last"); last != nil {
		out.last = last.Text
	}
	return out, nil
}

// each pages through the archive until its end, or until f says that it has enough. When the place to begin at
// is no longer known, all since the time is taken.
func (a *archive) each(ctx context.Context, c *login, q *query, since time.Time, f func(sm.Handle, result) bool) error {
	more := true
	began := q.after
	var at pageEdge
	for more {
		end, err := a.page(ctx, c, *q, func(m sm.Handle, r result) {
			if at.again(&r) {
				m.Done()
				return
			}
			more = f(m, r) && more
		})
		switch {
		case stanza.IsCondition(err, "item-not-found") && q.after != "" && q.after == began:
			q.after, q.start, began = "", since, "-"
			a.s.log.Warn().Msg("the archive no longer knows where we were; going by time")
			continue
		case err != nil:
			return err
		case end.complete || end.last == "" || end.last == q.after:
			return nil
		}
		q.after = at.turn(end.last)
	}
	return nil
}

// pageEdge is where one page ends and the next begins. Two messages can have one id (ejabberd's are microseconds), and
// a page can end between them: so the next one begins behind the id before the last, and what is known is skipped.
type pageEdge struct {
	before, last string          // ids of results; the newest is last
	known        map[string]bool // marks of the results whose id is last
	news         bool            // this page had something new
}

// again tells whether a result is one of the page before.
func (e *pageEdge) again(r *result) bool {
	if r.id != e.last {
		e.before, e.last, e.known = e.last, r.id, map[string]bool{}
	}
	if e.known[r.hash] {
		return true
	}
	e.known[r.hash], e.news = true, true
	return false
}

// turn is behind which id the next page begins.
func (e *pageEdge) turn(last string) string {
	news := e.news
	e.news = false
	if !news || e.before == "" || e.last != last {
		return last
	}
	return e.before
}

// take handles a message that carries a result of a query of ours, from whom was asked: our own account, or a room.
// Nothing else is ever unwrapped.
func (a *archive) take(m sm.Handle, e *stanza.Element) bool {
	res := e.Only(stanza.NSMAM, "result")
	if res == nil {
		return false
	}
	a.mu.Lock()
	w := a.queries[res.Get("queryid")]
	a.mu.Unlock()
	if w == nil || w.of == "" && !a.s.addr.self(e.Get("from")) || w.of != "" && w.of != e.Get("from") {
		return false
	}
	fwd := res.Only(stanza.NSForward, "forwarded")
	r := result{id: res.Get("id"), at: time.Now(), msg: fwd.Only(stanza.NSClient, "message")}
	if at, err := time.Parse(time.RFC3339, fwd.Child(stanza.NSDelay, "delay").AttrOr("stamp")); err == nil {
		r.at = at
	}
	r.hash = wireID(r.id, r.msg)
	w.take(m, r)
	return true
}

// search is for stanzas that we may have sent before the stream was lost.
type search struct {
	s     *Side
	first binding // where the archive stood when the first of them was sent

	mu    sync.Mutex // guards all below
	found map[bridge.Ref]bool
	byID  map[string]*outgoing // not found yet
}

// seek makes the search for what the server may have. Rooms are not in our archive, nor are stanza errors; their ids are
// another's.
func newSearch(s *Side, lost []sm.Stanza) *search {
	f := &search{s: s, found: map[bridge.Ref]bool{}, byID: map[string]*outgoing{}}
	for _, x := range lost {
		l := x.Tag.(*outgoing)
		if !x.Maybe || l.room || !s.ids.made(l) {
			continue
		}
		if len(f.byID) == 0 {
			f.first = l.binding
		}
		f.byID[l.id] = l
	}
	return f
}

// see looks at an archived message.
func (f *search) match(r result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.msg == nil || len(f.byID) == 0 || !f.s.addr.self(r.msg.Get("from")) {
		return
	}
	for _, id := range []string{r.msg.Get("id"), r.msg.Child(stanza.NSStanzaID, "origin-id").AttrOr("id")} {
		if l := f.byID[id]; l != nil && stanza.Bare(r.msg.Get("to")) == l.to {
			f.found[l.ref] = true
			delete(f.byID, id)
		}
	}
}

// seeking tells whether there is something to look for.
func (f *search) seeking() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.byID) > 0
}

// end ends it, though the archive may still be read, and says what was found.
func (f *search) end() map[bridge.Ref]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byID = nil
	return f.found
}

// searchSent looks for what was sent while messages came that we have taken: it ends where fill begins. With the addressee as a
// filter the place to begin at would be none of the results, and unknown to Prosody.
func (a *archive) searchSent(ctx context.Context, c *login, f *search) {
	at, _ := a.position()
	if !f.seeking() || f.first.cursor == at.ID || a.blind() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	since := f.first.at.Add(-findBack)
	q := query{after: f.first.cursor, max: pageSize, search: true}
	if q.after == "" {
		q.start = since
	}
	err := a.each(ctx, c, &q, since, func(m sm.Handle, r result) bool {
		f.match(r)
		m.Done()
		return f.seeking() && r.id != at.ID
	})
	if err != nil && c.l.Context().Err() == nil {
		a.s.log.Warn().Err(err).Msg("the archive cannot tell what arrived; it is sent again")
	}
}

package mam

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

// PageSize is how many messages are asked for at once.
const PageSize = 100

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

// Result is one message of an archive.
type Result struct {
	ID   string
	At   time.Time
	Msg  *stanza.Element // nil: there is none that can be read
	Hash string          // its WireID
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
	each func(sm.Handle, Result)
}

func (w *wanted) take(m sm.Handle, r Result) {
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

// queries ask archives for pages, and take what they bring. They may be used from any goroutine.
type queries struct {
	account string
	log     zerolog.Logger
	over    *passOver

	mu   sync.Mutex // guards open
	open map[string]*wanted
}

// page asks for one page; each is called for its results, on the goroutine that reads, before page returns.
func (s *queries) page(ctx context.Context, c stanza.Asker, q query, each func(sm.Handle, Result)) (fin, error) {
	id := rand.Text()[:16]
	w := &wanted{of: q.of, each: each}
	s.over.asks(&q, id)
	s.mu.Lock()
	s.open[id] = w
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, id)
		s.mu.Unlock()
		w.end()
	}()
	e, err := c.Ask(ctx, q.of, "set", q.payload(id))
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

// each pages through an archive until its end, or until f says that it has enough. When the place to begin at
// is no longer known, all since the time is taken.
func (s *queries) each(ctx context.Context, c stanza.Asker, q *query, since time.Time, f func(sm.Handle, Result) bool) error {
	more := true
	began := q.after
	var at pageEdge
	for more {
		end, err := s.page(ctx, c, *q, func(m sm.Handle, r Result) {
			if at.repeated(&r) {
				m.Done()
				return
			}
			more = f(m, r) && more
		})
		switch {
		case stanza.IsCondition(err, "item-not-found") && q.after != "" && q.after == began:
			q.after, q.start, began = "", since, "-"
			s.log.Warn().Msg("the archive no longer knows where we were; going by time")
			continue
		case err != nil:
			return err
		case end.complete || end.last == "" || end.last == q.after:
			return nil
		}
		q.after = at.next(end.last)
	}
	return nil
}

// take handles a message that carries a result of a query of ours, from whom was asked: our own account, or a room.
// Nothing else is ever unwrapped.
func (s *queries) take(m sm.Handle, e *stanza.Element) bool {
	res := e.Only(stanza.NSMAM, "result")
	if res == nil {
		return false
	}
	s.mu.Lock()
	w := s.open[res.Get("queryid")]
	s.mu.Unlock()
	if w == nil || w.of == "" && !ours(s.account, e.Get("from")) || w.of != "" && w.of != e.Get("from") {
		return false
	}
	fwd := res.Only(stanza.NSForward, "forwarded")
	r := Result{ID: res.Get("id"), At: time.Now(), Msg: fwd.Only(stanza.NSClient, "message")}
	if at, err := time.Parse(time.RFC3339, fwd.Child(stanza.NSDelay, "delay").AttrOr("stamp")); err == nil {
		r.At = at
	}
	r.Hash = WireID(r.ID, r.Msg)
	w.take(m, r)
	return true
}

// ours tells whether an address is the account. Mellium leaves from empty then.
func ours(account, address string) bool { return address == "" || stanza.Bare(address) == account }

package mam

import (
	"context"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

const (
	searchWithin = 5 * time.Second
	searchBack   = 10 * time.Minute
)

// Sent is a stanza of ours that the server may have.
type Sent struct {
	Ref bridge.Ref
	ID  string
	To  string // bare JID
}

// Search is for stanzas that we may have sent before the stream was lost. The zero Search looks for nothing.
type Search struct {
	account string
	from    string // where the archive stood when the first of them was sent; empty: unknown
	at      time.Time

	mu    sync.Mutex // guards all below
	found map[bridge.Ref]bool
	byID  map[string]Sent // not found yet
}

// NewSearch looks for what an account has sent since a place in its archive, and a time.
func NewSearch(account, from string, at time.Time, sent []Sent) *Search {
	f := &Search{account: account, from: from, at: at, found: map[bridge.Ref]bool{}, byID: map[string]Sent{}}
	for _, x := range sent {
		f.byID[x.ID] = x
	}
	return f
}

// match looks at an archived message.
func (f *Search) match(r Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Msg == nil || len(f.byID) == 0 || !ours(f.account, r.Msg.Get("from")) {
		return
	}
	for _, id := range []string{r.Msg.Get("id"), r.Msg.Child(stanza.NSStanzaID, "origin-id").AttrOr("id")} {
		if x, ok := f.byID[id]; ok && stanza.Bare(r.Msg.Get("to")) == x.To {
			f.found[x.Ref] = true
			delete(f.byID, id)
		}
	}
}

// seeking tells whether there is something to look for.
func (f *Search) seeking() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.byID) > 0
}

// End ends it, though the archive may still be read, and says what was found.
func (f *Search) End() map[bridge.Ref]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byID = nil
	return f.found
}

// SearchSent looks for what was sent while messages came that we have taken: it ends where a walk begins. With the addressee as a
// filter the place to begin at would be none of the results, and unknown to Prosody.
func (a *Archive) SearchSent(ctx context.Context, c Login, f *Search) {
	at, _ := a.Place.Position()
	if !f.seeking() || f.from == at.ID || a.over.isBlind() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, searchWithin)
	defer cancel()
	since := f.at.Add(-searchBack)
	q := query{after: f.from, max: PageSize, search: true}
	if q.after == "" {
		q.start = since
	}
	err := a.queries.each(ctx, c, &q, since, func(m sm.Handle, r Result) bool {
		f.match(r)
		m.Done()
		return f.seeking() && r.ID != at.ID
	})
	if err != nil && c.Context().Err() == nil {
		a.log.Warn().Err(err).Msg("the archive cannot tell what arrived; it is sent again")
	}
}

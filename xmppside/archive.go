package xmppside

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
)

const (
	discoTimeout = 5 * time.Second
	skew         = 5 * time.Minute // between our clock and the server's
	retryArchive = 30 * time.Second
)

// cursor is how far the archive was taken. Without an id everything later than At is to be taken.
type cursor struct {
	ID string `json:"id"`
	At int64  `json:"at"` // ms since the epoch; 0: from the beginning
}

func (c cursor) row() bridge.StateRow {
	value, _ := json.Marshal(c) // a string and a number never err
	return bridge.StateRow{Key: keyCursor, Value: value}
}

// archive is the server's archive of our account (XEP-0313): what came while no stream of ours was alive is taken
// from there.
type archive struct {
	s *Side

	mu      sync.Mutex // guards all below
	offered bool
	has     bool // at says something
	at      cursor
	filling bool // the gap is not filled: live messages must not move the cursor over it
	queries map[string]*wanted
}

// result is one message of the archive.
type result struct {
	id  string
	at  time.Time
	msg *element
}

// mark tells apart what has the same id.
func (r *result) mark() string {
	if r.msg == nil {
		return ""
	}
	var body []byte
	if b := r.msg.child(nsClient, "body"); b != nil {
		body = []byte(b.text)
	}
	return wireID(r.id, r.msg.get("from")+"\x00"+r.msg.get("id"), body)
}

// wireID is the lasting identity of an archived message. The archive's id alone is none with ejabberd: two that come
// in the same microsecond have the same.
func wireID(archived, reply string, body []byte) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(archived), []byte(reply), body} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // it never errs
		h.Write(part)
	}
	return string(h.Sum(nil))
}

func newArchive(s *Side) *archive {
	return &archive{s: s, queries: map[string]*wanted{}}
}

func (a *archive) restore(state map[string][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, a.offered = state[keyArchive]
	a.has = json.Unmarshal(state[keyCursor], &a.at) == nil
}

// known tells whether our server has an archive: only then it is the server that vouches for stanza ids.
func (a *archive) known() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.offered
}

// place is the id up to which the archive was taken; empty: unknown.
func (a *archive) place() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.at.ID) > mostID {
		return ""
	}
	return a.at.ID
}

// live is the cursor that goes with a live message; nil: it must not move.
func (a *archive) live(id string) *cursor {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.filling {
		return nil
	}
	return &cursor{ID: id, At: time.Now().UnixMilli()}
}

// reached notes what the book has.
func (a *archive) reached(c cursor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at, a.has = c, true
}

func (a *archive) position() (cursor, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at, a.has
}

func (a *archive) setFilling(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filling = on
}

// discover asks whether there is an archive.
func (a *archive) discover(ctx context.Context, c *conn) {
	ctx, cancel := context.WithTimeout(ctx, discoTimeout)
	defer cancel()
	offered, err := hasArchive(ctx, c.line)
	if err != nil {
		a.s.log.Warn().Err(err).Msg("the server does not say whether it has an archive; going on without")
	}
	a.mu.Lock()
	before := a.offered
	a.offered = offered
	a.mu.Unlock()
	row := bridge.StateRow{Key: keyArchive}
	if offered {
		row.Value = []byte("1")
	}
	if offered != before {
		a.s.desk.SetState(bridge.XMPP, row)
	}
}

// hasArchive asks our own account (XEP-0313 §8).
func hasArchive(ctx context.Context, k *line) (bool, error) {
	e, err := k.ask(ctx, bareOf(k.full), "get", "<query xmlns='"+nsDisco+"'/>")
	if err != nil {
		return false, err
	}
	return hasFeature(e, nsMAM), nil
}

func hasFeature(info *element, name string) bool {
	q := info.child(nsDisco, "query")
	if q == nil {
		return false
	}
	for _, f := range q.all(nsDisco, "feature") {
		if f.get("var") == name {
			return true
		}
	}
	return false
}

// begin takes what is in the archive before we are available, so that it comes before what is live. It tells
// whether the archive is to be read (again) afterwards: Prosody keeps back what it had stored for us from one who
// has asked the archive, and what comes between the last page and our presence is stored. Without a cursor the
// archive is asked only then, for the same reason.
//
// What was sent behind the cursor is searched for on the way.
func (a *archive) begin(ctx context.Context, c *conn, f *search) (again bool) {
	if !a.known() {
		a.setFilling(false)
		return false
	}
	if _, has := a.position(); has {
		if err := a.fill(ctx, c, f); err != nil && ctx.Err() == nil {
			a.complain(err)
			c.wg.Go(func() { a.keepFilling(ctx, c, func() {}) }) // ends with the line
			return false
		}
	}
	return true
}

func (a *archive) complain(err error) {
	a.s.log.Warn().Err(err).Msg("the archive cannot be read now; what came while we were away is taken later")
}

// keepFilling fills the gap, and tries again while that fails. tried is called after the first attempt.
func (a *archive) keepFilling(ctx context.Context, c *conn, tried func()) {
	defer tried()
	trouble := ""
	for {
		err := a.fill(ctx, c, &search{})
		tried()
		switch {
		case err == nil:
			a.setFilling(false)
			return
		case ctx.Err() != nil:
			return
		case err.Error() != trouble:
			trouble = err.Error()
			a.complain(err)
		}
		if !pause(ctx, retryArchive) {
			return
		}
	}
}

// fill takes all that is behind the cursor. Without a cursor it only finds out where the archive ends.
func (a *archive) fill(ctx context.Context, c *conn, f *search) error {
	at, has := a.position()
	if !has {
		return a.anchor(ctx, c)
	}
	q := query{after: at.ID, max: pageSize}
	if at.ID == "" && at.At > 0 {
		q.start = time.UnixMilli(at.At).Add(-skew)
	}
	var last cursor
	err := a.each(ctx, c, q, time.UnixMilli(at.At).Add(-skew), func(m sm.Mark, r result) bool {
		f.see(r)
		last = cursor{ID: r.id, At: r.at.UnixMilli()}
		a.offer(c, m, r, last)
		return true
	})
	if err != nil || last.ID == "" {
		return err
	}
	// What was ours, or no message for us, moves the cursor too, once all before it is in the book. With much
	// traffic that may not be soon: then the next record moves it.
	wait, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if a.s.inbox.empty(wait) != nil {
		return ctx.Err()
	}
	a.reached(last)
	a.s.desk.SetState(bridge.XMPP, last.row())
	return nil
}

// anchor puts the cursor at the end of the archive: what is older is not ours to deliver.
func (a *archive) anchor(ctx context.Context, c *conn) error {
	fin, err := a.page(ctx, c, query{before: true, max: 1}, func(m sm.Mark, _ result) { m.Done() })
	if err != nil {
		return err
	}
	at := cursor{ID: fin.last}
	if at.ID != "" {
		at.At = time.Now().UnixMilli()
	}
	a.reached(at)
	a.s.desk.SetState(bridge.XMPP, at.row())
	return nil
}

// offer hands on one archived message, if it was for us.
func (a *archive) offer(c *conn, m sm.Mark, r result, at cursor) {
	if r.msg == nil || a.s.addr.self(r.msg.get("from")) || !a.forUs(r.msg) {
		m.Done()
		return
	}
	v := a.s.classify(r.msg)
	if v.in.Ignored != "" {
		m.Done()
		return
	}
	v.in.WireID, v.in.Redelivered = wireID(r.id, v.in.Reply, v.in.Body), true
	a.s.inbox.push(item{c: c, m: m, in: v.in, cursor: &at})
}

func (a *archive) forUs(e *element) bool {
	switch e.get("type") {
	case "chat", "normal", "":
		return a.s.addr.self(e.get("to"))
	}
	return false
}

// isNoPlace tells that the archive does not know the cursor any more.
func isNoPlace(err error) bool {
	var e *iqError
	return errors.As(err, &e) && e.condition == "item-not-found"
}

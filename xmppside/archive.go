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

// archive is the server's archive of our account (XEP-0313): what came while no stream of ours was alive is taken
// from there.
type archive struct {
	s *Side

	mu      sync.Mutex // guards all below
	offered bool
	has     bool   // at says something
	at      cursor // as far as the book has it
	trail   trail  // as far as it was read
	filling bool   // the gap is not filled: live messages must not move the cursor over it
	walked  string // stream behind whose login the archive was taken to its end
	queries map[string]*wanted
}

// result is one message of the archive.
type result struct {
	id   string
	at   time.Time
	msg  *element
	mark string // its wireID
}

// wireID is the lasting identity of a message that is in the archive. The archive's id alone is none with ejabberd: two
// that come in the same microsecond have the same.
func wireID(archived string, msg *element) string {
	parts := []string{archived}
	if msg != nil {
		parts = append(parts, msg.get("from"), msg.get("id"))
		for _, b := range msg.all(nsClient, "body") {
			parts = append(parts, b.text)
		}
	}
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // it never errs
		h.Write([]byte(part))
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
	a.trail = trailFrom(a.at)
	a.walked = string(state[keyWalked])
}

// resumable tells whether a stream may be resumed. One that ended before the archive was taken to its end may not: the
// gap would stay, and the first live message would move the cursor over it.
func (a *archive) resumable(stream string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.offered || a.walked == stream
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
func (a *archive) live(id, mark string) *cursor {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.filling {
		return nil
	}
	at := a.trail.add(id, mark, time.Now())
	return &at
}

// read is the cursor that goes with an archived message.
func (a *archive) read(r *result) cursor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.trail.add(r.id, r.mark, r.at)
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

// goBack makes the next cursors from where the book stands.
func (a *archive) goBack() (cursor, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trail = trailFrom(a.at)
	return a.at, a.has
}

// gap notes that a login could not resume: what came meanwhile is to be taken from the archive.
func (a *archive) gap() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filling = true
}

// gapped tells whether that is still to be done.
func (a *archive) gapped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.filling
}

// filled notes that it is done.
func (a *archive) filled() {
	stream := a.s.st.Session().ID
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filling = false
	if a.walked != stream {
		a.walked = stream
		a.s.desk.SetState(bridge.XMPP, bridge.StateRow{Key: keyWalked, Value: []byte(stream)})
	}
}

// discover asks whether there is an archive.
func (a *archive) discover(ctx context.Context, c *conn) {
	ctx, cancel := context.WithTimeout(ctx, discoTimeout)
	defer cancel()
	offered, err := hasArchive(ctx, c.line)
	a.mu.Lock()
	before := a.offered
	if _, answered := errors.AsType[*iqError](err); err != nil && !answered {
		offered = before
	}
	a.offered = offered
	a.mu.Unlock()
	if err != nil && c.l.Context().Err() == nil {
		a.s.log.Warn().Err(err).Bool("archive", offered).Msg("the server does not say whether it has an archive")
	}
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
		a.filled()
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
			a.filled()
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
	at, has := a.goBack()
	if !has {
		return a.anchor(ctx, c)
	}
	q := query{after: at.ID, max: pageSize}
	if at.ID == "" && at.At > 0 {
		q.start = time.UnixMilli(at.At).Add(-skew)
	}
	taken := at.marks()
	end := at
	err := a.each(ctx, c, q, time.UnixMilli(at.At).Add(-skew), func(m sm.Mark, r result) bool {
		f.see(r)
		end = a.read(&r)
		if taken[r.mark[:markBytes]] {
			m.Done()
		} else {
			a.offer(c, m, r, end)
		}
		return true
	})
	if err != nil {
		return err
	}
	// What was ours, or no message for us, moves the cursor too, once all before it is in the book.
	if a.s.inbox.settled(ctx) != nil || ctx.Err() != nil { // what could not be kept ends ctx first
		return ctx.Err()
	}
	a.reached(end)
	a.s.desk.SetState(bridge.XMPP, end.row())
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
	a.goBack()
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
	v.in.WireID, v.in.Redelivered = r.mark, true
	a.s.inbox.push(item{c: c, m: m, in: v.in, cursor: &at})
}

func (a *archive) forUs(e *element) bool {
	switch e.get("type") {
	case "chat", "normal", "":
		return a.s.addr.self(e.get("to"))
	}
	return false
}

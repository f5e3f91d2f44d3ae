package xmppside

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/sm"
)

const (
	skew         = 5 * time.Minute // between our clock and the server's
	retryArchive = 30 * time.Second
	keepUpEvery  = time.Second
	keepUpAfter  = 500 // stanzas of ours
	keepUpShare  = 50  // times as long as the server needed to say where its archive ends
)

// archive is the server's archive of our account (XEP-0313): what came while no stream of ours was alive is taken
// from there.
type archive struct {
	s    *Side
	sent atomic.Int64 // stanzas of ours that the server has

	taking  string // guarded by mu: the stream on which the store is taken, when not all of it is archived
	emptied bool   // the offline store, once; owned by Run's goroutine, and by prepare's

	walking chan struct{} // capacity 1: one walk at a time, as they share the trail

	mu      sync.Mutex // guards all below
	asked   bool       // the server has said whether it has one, since the last login that could not resume
	offered bool
	has     bool   // at says something
	at      cursor // as far as the book has it
	trail   trail  // as far as it was read
	filling bool   // there is a gap: live messages must not move the cursor over it
	policy  policy
	ahead   ahead
	opened  string // the stream whose login was gone through with
	walked  string // the stream behind whose login the gap was filled
	queries map[string]*wanted
	over    passOver
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
	return &archive{s: s, walking: make(chan struct{}, 1), queries: map[string]*wanted{}}
}

// restore is told which stream the book has.
func (a *archive) restore(state map[string][]byte, stream string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, a.offered = state[keyArchive]
	_, a.policy.lasting = state[keyAlways]
	_, a.emptied = state[keyEmptied]
	a.has = json.Unmarshal(state[keyCursor], &a.at) == nil
	a.trail.at = a.at
	a.opened, a.walked, a.taking = string(state[keyOpened]), string(state[keyWalked]), string(state[keyTaking])
	a.filling = a.walked != stream
}

// resumable tells whether a stream may be resumed. One whose login was interrupted may not, where the archive has what
// came: what is live would come before that. One that carries what was in the store alone is: only it can tell what we had of that.
func (a *archive) resumable(stream string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return stream == "" || !a.offered || !a.has || a.opened == stream || a.taking == stream
}

// open notes that a stream's login was gone through with.
func (a *archive) open(stream string) { a.note(&a.opened, keyOpened, stream) }

// isOpen tells whether it was.
func (a *archive) isOpen(stream string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.opened == stream
}

// note keeps the name of a stream.
func (a *archive) note(what *string, key, stream string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if *what != stream {
		*what = stream
		a.s.desk.SetState(bridge.XMPP, bridge.StateRow{Key: key, Value: []byte(stream)})
	}
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

// live is the cursor that goes with a live message that is offered now; nil: it must not move.
func (a *archive) live(id, mark string) *cursor {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.filling || a.s.others.contested() {
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

// goBack makes the next cursors from where the book stands, because something that was read could not be kept.
func (a *archive) goBack() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over.id = ""
	if !a.filling && !a.s.others.contested() { // a walk begins at the book anyhow
		a.trail = trail{at: a.at}
	}
}

// gap notes that a login could not resume: what came meanwhile is to be taken from the archive.
func (a *archive) gap() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filling, a.asked = true, false
}

// gapped tells whether that is still to be done.
func (a *archive) gapped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.filling
}

// filled notes that it is done.
func (a *archive) filled() {
	a.note(&a.walked, keyWalked, a.s.st.Session().ID)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filling, a.over.blind = false, false
	a.remember(a.offered && a.policy.always())
}

func (a *archive) complain(err error) {
	a.s.log.Warn().Err(err).Msg("the archive cannot be read now; what came while we were away is taken later")
}

// keepFilling fills the gap, and tries again while that fails. trouble was said already. tried is called after the
// first attempt; what was sent is searched for in that one.
func (a *archive) keepFilling(ctx context.Context, c *conn, trouble string, f *search, tried func()) {
	defer tried()
	for {
		err := a.catchUp(ctx, c, f)
		f = &search{}
		tried()
		switch {
		case err == nil, ctx.Err() != nil:
			return
		case kindOf(err) != trouble:
			trouble = kindOf(err)
			a.complain(err)
		}
		if !pause(ctx, retryArchive) {
			return
		}
	}
}

// catchUp fills the gap, or finds that there is none.
func (a *archive) catchUp(ctx context.Context, c *conn, f *search) error {
	a.mu.Lock()
	asked, has := a.asked, a.has
	a.mu.Unlock()
	if !asked {
		if err := a.discover(ctx, c); err != nil {
			return err
		}
	}
	var err error
	switch {
	case !a.known():
	case has:
		err = a.fill(ctx, c, f)
	default:
		err = a.anchor(ctx, c)
	}
	if err == nil {
		a.filled()
	}
	return err
}

// fill takes all that is behind the cursor.
func (a *archive) fill(ctx context.Context, c *conn, f *search) error {
	select {
	case a.walking <- struct{}{}:
		defer func() { <-a.walking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := a.step(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	at := a.at
	a.trail = walkFrom(at)
	a.mu.Unlock()
	taken := map[string]bool{}
	for m := range slices.Chunk(at.marks(), markBytes) {
		taken[string(m)] = true
	}
	q := query{after: at.ID, max: pageSize}
	err := a.each(ctx, c, &q, at.since(), func(m sm.Mark, r result) bool {
		f.see(r)
		c.hold.meet(&r, at.ID == "" || q.byTime(), a.s.inbox.push)
		at := a.read(&r)
		if taken[r.mark[:markBytes]] {
			m.Done()
		} else {
			a.offer(c, m, r, at)
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
	if at.ID != "" && !q.byTime() {
		c.hold.walked()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trail.again = nil
	a.stand(a.trail.at)
	return nil
}

// stand puts the cursor where the book is known to be. a.mu is held.
func (a *archive) stand(at cursor) {
	a.at, a.has = at, true
	a.s.desk.SetState(bridge.XMPP, at.row())
}

// end is the id of the archive's last message, when all that came before the server said so is in the book. Empty: there
// is none.
func (a *archive) end(ctx context.Context, c *conn) (string, error) {
	fin, err := a.page(ctx, c, query{before: true, max: 1}, func(m sm.Mark, _ result) { m.Done() })
	if err == nil {
		err = a.s.inbox.settled(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	return fin.last, err
}

// anchor puts the cursor at the end of the archive: what is older is not ours to deliver.
func (a *archive) anchor(ctx context.Context, c *conn) error {
	last, err := a.end(ctx, c)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := cursor{ID: last, At: time.Now().UnixMilli()}
	a.trail = trail{at: at}
	a.stand(at)
	return nil
}

// keepUp moves the cursor over what we send ourselves, so that the next walk is not long.
func (a *archive) keepUp(ctx context.Context, c *conn) {
	seen, before := a.sent.Load(), ""
	for wait := keepUpEvery; pause(ctx, wait); {
		wait = keepUpEvery
		now := a.sent.Load()
		a.mu.Lock()
		next := a.trail.at.Next
		due := next == before && now-seen >= keepUpAfter && a.offered && !a.filling && !a.s.others.contested()
		a.mu.Unlock()
		if before = next; due {
			seen = now
			began := time.Now()
			a.pass(ctx, c, next)
			wait = max(keepUpEvery, keepUpShare*time.Since(began)) // meanwhile Prosody, which reads a whole file, does nothing else
		}
	}
}

// pass moves the cursor to next, where the trail's Next has been for a while, and Next to the end of the archive. When
// that fails the cursor stays older, which does no harm. An end that did not move is no end: a clock was set back.
func (a *archive) pass(ctx context.Context, c *conn, next string) {
	last, err := a.end(ctx, c)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && last != "" && last != next && a.trail.at.Next == next {
		a.trail.at = a.trail.at.turn(last)
		a.stand(a.at.turn(last))
	}
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

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
	"chatrelay/internal/wait"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

const (
	retryArchive = 30 * time.Second
	advanceEvery = time.Second
	advanceAfter = 500 // stanzas of ours
	keepUpShare  = 50  // times as long as the server needed to say where its archive ends
)

// archive is the server's archive of our account (XEP-0313): what came while no stream of ours was alive is taken
// from there.
type archive struct {
	s    *Side
	sent atomic.Int64 // stanzas of ours that the server has

	taking  string // guarded by mu: the stream on which the store is taken, when not all of it is archived
	emptied bool   // the offline store, once; owned by Run's goroutine, and by prepare's

	walking chan struct{} // capacity 1: one walk at a time, as they share the pending cursor

	mu         sync.Mutex // guards all below
	asked      bool       // the server has said whether it has one, since the last login that could not resume
	offered    bool
	has        bool          // at says something
	at         cursor        // as far as the journal has it
	pending    pendingCursor // as far as it was read
	catchingUp bool          // there is a gap: live messages must not move the cursor over it
	policy     policy
	ahead      readAheadState
	readyFor   string // the stream whose login was gone through with
	filledFor  string // the stream behind whose login the gap was filled
	queries    map[string]*wanted
	over       passOver
}

// result is one message of the archive.
type result struct {
	id   string
	at   time.Time
	msg  *stanza.Element
	hash string // its wireID
}

// wireID is the lasting identity of a message that is in the archive. The archive's id alone is none with ejabberd: two
// that come in the same microsecond have the same.
func wireID(archived string, msg *stanza.Element) string {
	parts := []string{archived}
	if msg != nil {
		parts = append(parts, msg.Get("from"), msg.Get("id"))
		for _, b := range msg.All(stanza.NSClient, "body") {
			parts = append(parts, b.Text)
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

// restore is told which stream the journal has.
func (a *archive) restore(state map[string][]byte, stream string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, a.offered = state[keyArchive]
	_, a.policy.lasting = state[keyAlways]
	_, a.emptied = state[keyEmptied]
	a.has = json.Unmarshal(state[keyCursor], &a.at) == nil
	a.pending.at = a.at
	a.readyFor, a.filledFor, a.taking = string(state[keyOpened]), string(state[keyWalked]), string(state[keyTaking])
	a.catchingUp = a.filledFor != stream
}

// resumable tells whether a stream may be resumed. One whose login was interrupted may not, where the archive has what
// came: what is live would come before that. One that carries what was in the store alone is: only it can tell what we had of that.
func (a *archive) resumable(stream string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return stream == "" || !a.offered || !a.has || a.readyFor == stream || a.taking == stream
}

// open notes that a stream's login was gone through with.
func (a *archive) markReady(stream string) { a.note(&a.readyFor, keyOpened, stream) }

// isReady tells whether it was.
func (a *archive) isReady(stream string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.readyFor == stream
}

// note keeps the name of a stream.
func (a *archive) note(what *string, key, stream string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if *what != stream {
		*what = stream
		a.s.journal.SetState(bridge.XMPP, bridge.StateRow{Key: key, Value: []byte(stream)})
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
	if len(a.at.ID) > stanza.MostID {
		return ""
	}
	return a.at.ID
}

// live is the cursor that goes with a live message that is offered now; nil: it must not move.
func (a *archive) live(id, mark string) *cursor {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.catchingUp || a.s.others.contested() {
		return nil
	}
	at := a.pending.add(id, mark, time.Now())
	return &at
}

// read is the cursor that goes with an archived message.
func (a *archive) read(r *result) cursor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pending.add(r.id, r.hash, r.at)
}

// reached notes what the journal has.
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

// goBack makes the next cursors from where the journal stands, because something that was read could not be kept.
func (a *archive) goBack() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over.id = ""
	if !a.catchingUp && !a.s.others.contested() { // a walk begins at the journal anyhow
		a.pending = pendingCursor{at: a.at}
	}
}

// gap notes that a login could not resume: what came meanwhile is to be taken from the archive.
func (a *archive) gap() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.catchingUp, a.asked = true, false
}

// gapped tells whether that is still to be done.
func (a *archive) gapped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.catchingUp
}

// filled notes that it is done.
func (a *archive) filled() {
	a.note(&a.filledFor, keyWalked, a.s.st.Session().ID)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.catchingUp, a.over.blind = false, false
	a.remember(a.offered && a.policy.always())
}

func (a *archive) warnUnreadable(err error) {
	a.s.log.Warn().Err(err).Msg("the archive cannot be read now; what came while we were away is taken later")
}

// keepFilling fills the gap, and tries again while that fails. trouble was said already. tried is called after the
// first attempt; what was sent is searched for in that one.
func (a *archive) keepFilling(ctx context.Context, c *login, trouble string, f *search, tried func()) {
	defer tried()
	for {
		err := a.catchUp(ctx, c, f)
		f = &search{}
		tried()
		switch {
		case err == nil, ctx.Err() != nil:
			return
		case stanza.Kind(err) != trouble:
			trouble = stanza.Kind(err)
			a.warnUnreadable(err)
		}
		if !wait.Pause(ctx, retryArchive) {
			return
		}
	}
}

// catchUp fills the gap, or finds that there is none.
func (a *archive) catchUp(ctx context.Context, c *login, f *search) error {
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
func (a *archive) fill(ctx context.Context, c *login, f *search) error {
	select {
	case a.walking <- struct{}{}:
		defer func() { <-a.walking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := a.stepOver(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	at := a.at
	a.pending = walkFrom(at)
	a.mu.Unlock()
	taken := map[string]bool{}
	for m := range slices.Chunk(at.hashes(), hashBytes) {
		taken[string(m)] = true
	}
	q := query{after: at.ID, max: pageSize}
	err := a.each(ctx, c, &q, at.since(), func(m sm.Handle, r result) bool {
		f.match(r)
		c.holdback.meet(&r, at.ID == "" || q.byTime(), a.s.inbox.push)
		at := a.read(&r)
		if taken[r.hash[:hashBytes]] {
			m.Done()
		} else {
			a.offer(c, m, r, at)
		}
		return true
	})
	if err != nil {
		return err
	}
	// What was ours, or no message for us, moves the cursor too, once all before it is in the journal.
	if a.s.inbox.settled(ctx) != nil || ctx.Err() != nil { // what could not be kept ends ctx first
		return ctx.Err()
	}
	if at.ID != "" && !q.byTime() {
		c.holdback.archiveRead()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending.again = nil
	a.moveCursor(a.pending.at)
	return nil
}

// moveCursor puts the cursor where the journal is known to be. a.mu is held.
func (a *archive) moveCursor(at cursor) {
	a.at, a.has = at, true
	a.s.journal.SetState(bridge.XMPP, at.row())
}

// end is the id of the archive's last message, when all that came before the server said so is in the journal. Empty: there
// is none.
func (a *archive) end(ctx context.Context, c *login) (string, error) {
	fin, err := a.page(ctx, c, query{before: true, max: 1}, func(m sm.Handle, _ result) { m.Done() })
	if err == nil {
		err = a.s.inbox.settled(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	return fin.last, err
}

// anchor puts the cursor at the end of the archive: what is older is not ours to deliver.
func (a *archive) anchor(ctx context.Context, c *login) error {
	last, err := a.end(ctx, c)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := cursor{ID: last, At: time.Now().UnixMilli()}
	a.pending = pendingCursor{at: at}
	a.moveCursor(at)
	return nil
}

// advance moves the cursor over what we send ourselves, so that the next walk is not long.
func (a *archive) advance(ctx context.Context, c *login) {
	seen, before := a.sent.Load(), ""
	for d := advanceEvery; wait.Pause(ctx, d); {
		d = advanceEvery
		now := a.sent.Load()
		a.mu.Lock()
		next := a.pending.at.Next
		due := next == before && now-seen >= advanceAfter && a.offered && !a.catchingUp && !a.s.others.contested()
		a.mu.Unlock()
		if before = next; due {
			seen = now
			began := time.Now()
			a.pass(ctx, c, next)
			d = max(advanceEvery, keepUpShare*time.Since(began)) // meanwhile Prosody, which reads a whole file, does nothing else
		}
	}
}

// pass moves the cursor to next, where the pending cursor's Next has been for a while, and Next to the end of the archive. When
// that fails the cursor stays older, which does no harm. An end that did not move is no end: a clock was set back.
func (a *archive) pass(ctx context.Context, c *login, next string) {
	last, err := a.end(ctx, c)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && last != "" && last != next && a.pending.at.Next == next {
		a.pending.at = a.pending.at.turn(last)
		a.moveCursor(a.at.turn(last))
	}
}

// offer hands on one archived message, if it was for us.
func (a *archive) offer(c *login, m sm.Handle, r result, at cursor) {
	if r.msg == nil || a.s.addr.self(r.msg.Get("from")) || !a.forUs(r.msg) {
		m.Done()
		return
	}
	v := a.s.classify(r.msg)
	if v.in.Ignored != "" {
		m.Done()
		return
	}
	v.in.WireID, v.in.Redelivered = r.hash, true
	a.s.inbox.push(item{c: c, m: m, in: v.in, cursor: &at})
}

func (a *archive) forUs(e *stanza.Element) bool {
	switch e.Get("type") {
	case "chat", "normal", "":
		return a.s.addr.self(e.Get("to"))
	}
	return false
}

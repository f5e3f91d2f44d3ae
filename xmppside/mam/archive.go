package mam

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/sm"
	"chatrelay/xmppside/stanza"
)

const (
	retryArchive = 30 * time.Second

	// DefaultTimeout is how long what goes out waits for an archive that is read at a login. What was sent and not confirmed is met in its
	// first pages.
	DefaultTimeout = 30 * time.Second
)

// Login is the login on which the archive is read.
type Login interface {
	stanza.Asker
	// Context ends with the login.
	Context() context.Context
	// Take is given each message behind the cursor, in order, on the goroutine that reads.
	Take(m sm.Handle, r *Result, w Position)
	// ReadToEnd: the archive was read from the cursor to its end.
	ReadToEnd()
}

// Position says where a message stands in a walk through the archive.
type Position struct {
	Cursor Cursor // behind it
	ByTime bool   // the archive's beginning is behind where we were
	Known  bool   // the journal has it
}

// Side is what the archive needs of its side.
type Side interface {
	// Stream is the XEP-0198 id of the stream; empty: it has none.
	Stream() string
	// Settled waits until all that was read before is settled, or ctx ends.
	Settled(ctx context.Context) error
	// Contested tells whether the archive may have what came past us: then the cursor moves by walks only. It never waits.
	Contested() bool
}

// Archive is the server's archive of our account: what came while no stream of ours was alive is taken from there.
type Archive struct {
	Place   *Place
	Streams *Streams
	Timeout time.Duration // set before the first login

	side    Side
	journal bridge.SideState
	log     zerolog.Logger
	service *service
	queries *queries
	over    *passOver

	sent    atomic.Int64  // stanzas of ours that the server has
	walking chan struct{} // capacity 1: one walk at a time, as they share the pending cursor
	emptied bool          // the offline store, once; owned by the goroutine that logs in

	mu     sync.Mutex // guards ahead
	unread readAheadState
}

// New makes the archive of an account (a bare JID).
func New(account string, side Side, journal bridge.SideState, log zerolog.Logger) *Archive {
	over := &passOver{account: account}
	return &Archive{
		Place:   &Place{journal: journal, contested: side.Contested},
		Streams: &Streams{journal: journal},
		Timeout: DefaultTimeout,
		side:    side, journal: journal, log: log,
		service: &service{account: account, journal: journal, log: log},
		queries: &queries{account: account, log: log, over: over, open: map[string]*wanted{}},
		over:    over,
		walking: make(chan struct{}, 1),
	}
}

// Restore takes in what the journal remembers, and which stream it has.
func (a *Archive) Restore(state map[string][]byte, stream string) {
	a.service.restore(state)
	a.Streams.restore(state)
	_, a.emptied = state[keyEmptied]
	a.Place.restore(state[keyCursor], a.Streams.isFilled(stream))
}

// Resumable tells whether a stream may be resumed. One whose login was interrupted may not, where the archive has what
// came: what is live would come before that. One that carries what was in the store alone is: only it can tell what we had of that.
func (a *Archive) Resumable(stream string) bool {
	_, has := a.Place.Position()
	return stream == "" || !a.Known() || !has || a.Streams.IsReady(stream) || a.Streams.isTaking(stream)
}

// Taking tells whether the store was being taken on a stream, from a place that is known.
func (a *Archive) Taking(stream string) bool {
	_, has := a.Place.Position()
	return has && a.Streams.isTaking(stream)
}

// Known tells whether our server has an archive: only then it is the server that vouches for stanza ids.
func (a *Archive) Known() bool { return a.service.known() }

// Gap notes that a login could not resume: what came meanwhile is to be taken from the archive.
func (a *Archive) Gap() {
	a.Place.catchUp(true)
	a.service.forget()
}

// filled notes that it was.
func (a *Archive) filled() {
	a.Streams.markFilled(a.side.Stream())
	a.Place.catchUp(false)
	a.over.unblind()
	a.service.filled()
}

// WarnUnreadable says that the archive cannot be read.
func (a *Archive) WarnUnreadable(err error) {
	a.log.Warn().Err(err).Msg("the archive cannot be read now; what came while we were away is taken later")
}

// FillUntilDone fills the gap, and tries again while that fails. What was logged of it already is not logged again. tried is called after the
// first attempt; what was sent is searched for in that one.
func (a *Archive) FillUntilDone(ctx context.Context, c Login, logged string, f *Search, tried func()) {
	defer tried()
	for {
		err := a.catchUp(ctx, c, f)
		f = &Search{}
		tried()
		switch {
		case err == nil, ctx.Err() != nil:
			return
		case fix.Shape(err) != logged:
			logged = fix.Shape(err)
			a.WarnUnreadable(err)
		}
		if !wait.Pause(ctx, retryArchive) {
			return
		}
	}
}

// catchUp fills the gap, or finds that there is none.
func (a *Archive) catchUp(ctx context.Context, c Login, f *Search) error {
	asked := a.service.wasAsked()
	_, has := a.Place.Position()
	if !asked {
		if err := a.service.discover(ctx, c); err != nil {
			return err
		}
	}
	var err error
	switch {
	case !a.Known():
	case has:
		err = a.Fill(ctx, c, f)
	default:
		err = a.anchor(ctx, c)
	}
	if err == nil {
		a.filled()
	}
	return err
}

// Fill takes all that is behind the cursor.
func (a *Archive) Fill(ctx context.Context, c Login, f *Search) error {
	select {
	case a.walking <- struct{}{}:
		defer func() { <-a.walking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := a.stepOver(ctx); err != nil {
		return err
	}
	at := a.Place.walk()
	taken := map[string]bool{}
	for m := range slices.Chunk(at.hashes(), hashBytes) {
		taken[string(m)] = true
	}
	q := query{after: at.ID, max: PageSize}
	err := a.queries.each(ctx, c, &q, at.Since(), func(m sm.Handle, r Result) bool {
		f.match(r)
		c.Take(m, &r, Position{a.Place.read(&r), at.ID == "" || q.byTime(), taken[r.Hash[:hashBytes]]})
		return true
	})
	if err != nil {
		return err
	}
	// What was ours, or no message for us, moves the cursor too, once all before it is in the journal.
	if a.side.Settled(ctx) != nil || ctx.Err() != nil { // what could not be kept ends ctx first
		return ctx.Err()
	}
	if at.ID != "" && !q.byTime() {
		c.ReadToEnd()
	}
	a.Place.walkDone()
	return nil
}

// end is the id of the archive's last message, when all that came before the server said so is in the journal. Empty: there
// is none.
func (a *Archive) end(ctx context.Context, c Login) (string, error) {
	fin, err := a.queries.page(ctx, c, query{before: true, max: 1}, func(m sm.Handle, _ Result) { m.Done() })
	if err == nil {
		err = a.side.Settled(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	return fin.last, err
}

// anchor puts the cursor at the end of the archive: what is older is not ours to deliver.
func (a *Archive) anchor(ctx context.Context, c Login) error {
	last, err := a.end(ctx, c)
	if err != nil {
		return err
	}
	a.Place.anchor(last)
	return nil
}

// stepOver moves the cursor behind a message that is too large to be read, once all before it is in the journal: what could not be
// kept forgets it.
func (a *Archive) stepOver(ctx context.Context) error {
	id := a.Place.unreadable()
	if id == "" {
		return nil
	}
	if err := a.side.Settled(ctx); err != nil {
		return err
	}
	if a.Place.stepOver(id) {
		a.log.Warn().Str("archive_id", id).Msg("a message in the archive is too large to be read: it is passed over")
	}
	return nil
}

// PassedOver is given what was read of a message before the connection ended over it.
func (a *Archive) PassedOver(e *stanza.Element) {
	if id := a.over.met(e); id != "" {
		a.Place.cannotRead(id)
	}
}

// Result takes a message that carries a result of a query of ours; false: it is none.
func (a *Archive) Result(m sm.Handle, e *stanza.Element) bool { return a.queries.take(m, e) }

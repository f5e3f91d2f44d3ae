package sm

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// writeSize is how many bytes of stanzas go into one write, where they are that small: with a write to a
// TLS record, a cut seldom leaves half a stanza with the server (Prosody 0.12 cannot resume after one).
const writeSize = 4096

// Stream is one stream as the server sees it, across connections and, through State, across processes. Its
// methods may be called from any goroutine.
type Stream struct {
	cfg Config

	mu         sync.Mutex  // guards all below, and the Connections' fields that say so
	sess       *Session    // replaced, never changed; In is meaningless here. A Handle of another one is stale
	connection *Connection // the newest: the only one that may write
	open       bool        // Send goes through link
	over       bool        // logged out, or on the way there
	stopped    bool        // Send takes nothing any more
	single     bool
	out        outbox
	pace       pace
	shared     shared
	in         inbox
	early      []*early
	earlyCost  int // of them, in bytes
	lost       []Stanza
	want       uint64        // newest ticket
	committed  uint64        // newest ticket known to be committed
	changed    chan struct{} // closed at the next change; nil: nobody waits
}

// New makes a Stream. With a saved Session the first Connection resumes it; a Queue without one is lost at once.
func New(cfg Config, saved State) *Stream {
	cfg.Window = cmp.Or(cfg.Window, 400)
	cfg.AskCount = cmp.Or(cfg.AskCount, 64)
	cfg.AskEvery = cmp.Or(cfg.AskEvery, 10*time.Second)
	cfg.DeadAfter = cmp.Or(cfg.DeadAfter, 30*time.Second)
	cfg.VerifyWithin = cmp.Or(cfg.VerifyWithin, 5*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 10*time.Second)
	cfg.JournalTimeout = cmp.Or(cfg.JournalTimeout, 10*time.Second)
	if cfg.Clock == nil {
		cfg.Clock = machineClock{}
	}
	s := &Stream{
		cfg:  cfg,
		sess: &saved.Session,
		out:  newOutbox(saved.Queue),
		in:   newInbox(saved.In),
		pace: pace{now: cfg.Window, most: cfg.Window},
	}
	if s.sess.ID == "" {
		s.giveUp()
	}
	return s
}

// tick is how often a connection is looked at.
func (s *Stream) tick() time.Duration { return s.cfg.VerifyWithin / 5 }

type machineClock struct{}

func (machineClock) Now() time.Time                         { return time.Now() }
func (machineClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Connection makes nc the stream's connection: nc is the bare TCP connection, whatever is put above it. An older
// Connection is closed and can no longer write. Whoever gets a Connection calls Serve or Close.
func (s *Stream) Connection(nc net.Conn) *Connection {
	l := newConnection(s, nc)
	s.mu.Lock()
	old := s.connection
	s.connection, s.open = l, false
	s.cut()
	s.mu.Unlock()
	if old != nil {
		old.fail(ErrDown)
	}
	return l
}

// Open lets Send through, once the owner has done what a fresh login needs. It does nothing when l is over.
func (s *Stream) Open(l *Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection == l && !l.dead {
		s.open = true
		s.broadcast()
	}
}

// Send queues one whole stanza, which nobody changes afterwards, and returns its number. It waits while
// the stream is not open or the window is full, until ctx ends; after Logout it returns ErrDown. When it
// returns nil the stanza is bound in the Journal and will be in Acked or Lost.
func (s *Stream) Send(ctx context.Context, raw []byte, tag any) (uint64, error) {
	for {
		s.mu.Lock()
		n, err := s.offer(raw, tag)
		if err == nil || s.over || s.stopped {
			s.mu.Unlock()
			return n, err
		}
		changed := s.change()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// StopSending makes Send return ErrDown from here on, while what was taken still leaves and is acknowledged. Logout comes later.
func (s *Stream) StopSending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.broadcast()
}

// offer queues if there is room. s.mu is held, as in all unexported methods of Stream.
func (s *Stream) offer(raw []byte, tag any) (uint64, error) {
	switch {
	case s.over || s.stopped || !s.open:
		return 0, ErrDown
	case s.out.tags >= s.pace.now, s.single && s.out.tags > 0:
		return 0, errFull
	}
	it := s.out.add(raw, tag)
	it.since = s.cfg.Clock.Now()
	s.bind(it)
	s.connection.wake.Set()
	return it.N, nil
}

// bind records where an item is to go.
func (s *Stream) bind(it *item) {
	if s.cfg.Journal == nil || it.Tag == nil {
		return
	}
	it.kept = it.kept || it.ticket != 0 && it.ticket <= s.committed
	it.ticket = s.cfg.Journal.Bind(it.Stanza, s.sess.ID)
	s.await(it.ticket)
}

// await makes the connection wait for a ticket.
func (s *Stream) await(ticket uint64) {
	s.want = max(s.want, ticket)
	if s.connection != nil {
		s.connection.wakeGate.Set()
	}
}

// save replaces the saved session.
func (s *Stream) save(sess Session) (ticket uint64) {
	if s.cfg.Journal == nil {
		return 0
	}
	ticket = s.cfg.Journal.Save(sess)
	s.await(ticket)
	return ticket
}

// progress does what is due after the inbox has changed.
func (s *Stream) progress() {
	switch {
	case s.cfg.Journal == nil || s.sess.ID == "":
		s.in.durable = max(s.in.durable, s.in.doneTo)
	case s.in.wantsSave():
		sess := *s.sess
		sess.In = s.in.doneTo
		s.in.saving = s.in.doneTo
		s.in.ticket = s.save(sess)
	}
	if s.connection != nil && s.in.ackable() != s.connection.acked {
		s.connection.wake.Set()
	}
	s.broadcast()
}

// acked passes on what the server has.
func (s *Stream) acked(done []Stanza) {
	for _, n := range s.out.settle {
		s.in.settle(n)
	}
	if len(s.out.settle) > 0 {
		s.out.settle = nil
		s.progress()
	}
	for _, e := range s.out.early {
		s.settleEarly(e)
	}
	s.out.early = nil
	if len(done) > 0 && s.cfg.Acked != nil {
		s.cfg.Acked(done)
	}
	s.broadcast()
}

// change is closed when something has changed that Send or Logout may wait for.
func (s *Stream) change() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (s *Stream) broadcast() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// cut takes back what was opened but not finished when the connection ended.
func (s *Stream) cut() { s.rewind(s.in.finished + 1) }

// rewind makes inbound stanza n and all behind it be handed over again; answers to them settle nothing any more.
func (s *Stream) rewind(n uint64) {
	if n <= s.in.doneTo {
		return // already told, or about to be: the server will not repeat it
	}
	s.in.rewind(n)
	for _, it := range s.out.queue {
		if it.settle >= n {
			it.settle = 0
		}
	}
}

// begin starts a new life under a new name.
func (s *Stream) begin(sess Session) {
	switch {
	case sess.ID != "":
		s.save(sess)
	case s.sess.ID != "":
		s.save(Session{})
	}
	s.giveUp()
	s.sess = &sess
	s.in = newInbox(0)
}

// Forget throws the session away, between connections: the next Connection logs in anew, and what is queued is lost.
func (s *Stream) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

// forget throws the name away; the next Connection logs in anew.
func (s *Stream) forget() {
	s.begin(Session{})
}

// giveUp makes all that is queued lost.
func (s *Stream) giveUp() {
	s.lost = append(s.lost, tagged(s.out.queue)...)
	for _, it := range s.out.queue {
		if it.early != nil {
			it.early.handed = false // its answer is gone
		}
	}
	s.out = outbox{}
	s.pace.top = 0
}

// Lost takes the stanzas that were given up because their stream could not be resumed, in order. They
// will not be in Acked. The owner asks after each login, and sends them again if need be.
func (s *Stream) Lost() []Stanza {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	s.lost = nil
	return lost
}

// Drop takes stanzas out of the queue, for good, between connections: poison that a resumption would send again.
func (s *Stream) Drop(ns ...uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection != nil && !s.connection.dead {
		return errors.New("sm: Drop needs the connection to be over")
	}
	s.out.remove(func(it *item) bool {
		for _, n := range ns {
			if it.N == n {
				return true
			}
		}
		return false
	})
	return nil
}

// Single makes stanzas with a tag leave one by one, each after the one before is acknowledged. When a stream
// dies right after a send, End.Suspects then names one.
func (s *Stream) Single(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.single = on
	s.broadcast()
	if s.connection != nil {
		s.connection.wake.Set()
	}
}

// SetReadSize changes Config.ReadSize.
func (s *Stream) SetReadSize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.ReadSize = n
	if s.connection != nil {
		s.connection.wake.Set()
	}
}

// Unacked counts what is queued or under way.
func (s *Stream) Unacked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out.queue)
}

// Session is what the next Connection would resume.
func (s *Stream) Session() Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess := *s.sess
	sess.In = s.in.ackable()
	return sess
}

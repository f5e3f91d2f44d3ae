package xmppside

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"mellium.im/xmpp/jid"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/sm"
)

// defaultWindow is below the 500 that Prosody keeps for one who does not confirm: such a peer is ours alone, but
// both directions are alike then.
const defaultWindow = 400

// A connection on which nothing comes for deadAfter is given up; before that the server is asked twice.
const (
	askEvery  = 8 * time.Second
	deadAfter = 22 * time.Second
)

// Side is the counter towards one XMPP account. It implements bridge.Side.
type Side struct {
	cfg       Config
	me        jid.JID // bare
	journal   bridge.SideJournal
	log       zerolog.Logger
	connector *connector

	addr    *addresses
	rooms   *rooms
	archive *mam.Archive
	others  *others
	streams *streamJournal
	inbox   *inbox
	ids     idSigner   // set before the first connection
	st      *sm.Stream // likewise
	window  int        // unconfirmed stanzas, at most
	most    int        // bytes of a stanza, where the server does not say

	// Owned by Run's goroutine, and by prepare's, which that begins and awaits.
	gen     uint64
	lost    []sm.Stanza // of streams that were lost, until the archive was asked
	relogin bool        // the last connection ended so that the next is made at once
	redone  bool        // the last connection ended because something could not be kept
	poison  poison

	returned returned // what was given back, for the log

	seen int // of returns, when Send last looked; owned by Send's goroutine

	changed wait.Broadcast // rings when anything that Send or Run waits for may have changed

	mu       sync.Mutex // guards all below
	current  *login     // the newest login
	live     *login     // the same, while Send may use it
	stopping bool
	why      string // not up because
	limit    int    // bytes of a stanza
	software string // the server's, once it has said so
	requeued int    // how often bound deliveries went back into the journal
}

// New checks the configuration. The error names every problem.
func New(cfg Config, journal bridge.SideJournal) (*Side, error) {
	me, err := cfg.prepare()
	if err != nil {
		return nil, err
	}
	s := &Side{
		cfg: cfg, me: me, journal: journal, log: cfg.Log.With().Str("side", bridge.XMPP.String()).Logger(),
		why: "not started", window: defaultWindow, most: defaultStanza,
	}
	s.addr = newAddresses(&s.cfg)
	s.connector = newConnector(&s.cfg, me)
	s.rooms = newRooms(s)
	s.archive = mam.New(s.addr.own, archiveHost{s}, journal, s.log)
	s.others = newOthers(s)
	s.streams = newStreamJournal(s)
	s.inbox = newInbox(s)
	s.poison = poison{strikes: map[bridge.Ref]int{}, buried: map[bridge.Ref]bool{}}
	return s, nil
}

// ID is bridge.XMPP.
func (s *Side) ID() bridge.SideID { return bridge.XMPP }

// Up tells whether the account is logged in and messages go out, and in a few words why not.
func (s *Side) Up() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live != nil, s.why
}

// Run connects, reconnects and offers until ctx ends; then it leaves in good order within the drain time.
func (s *Side) Run(ctx context.Context, in bridge.Inlet) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // offers go on while it drains
	defer end()
	var wg sync.WaitGroup
	wg.Go(func() { s.inbox.run(life, in) })
	s.loop(ctx)
	s.stop()
	end()
	wg.Wait()
	return nil
}

// begin reads what the journal remembers: once, before the first connection.
func (s *Side) begin(ctx context.Context) error {
	state, err := s.journal.State(ctx, bridge.XMPP)
	if err != nil {
		return fmt.Errorf("xmpp: read the side's memory: %w", err)
	}
	s.ids.secret = state[keySecret]
	if len(s.ids.secret) != secretBytes {
		s.ids.secret = newSecret()
		s.journal.SetState(bridge.XMPP, bridge.StateRow{Key: keySecret, Value: s.ids.secret})
	}
	s.rooms.restore(state)
	s.rooms.posts.restore(state)
	saved, stale := savedSession(state)
	if len(stale) > 0 {
		s.journal.SetState(bridge.XMPP, stale...)
	}
	s.streams.saved = saved.ID
	s.archive.Restore(state, saved.ID)
	s.others.restore(state)
	queue, err := s.restore(ctx, saved)
	if err != nil {
		return fmt.Errorf("xmpp: read bound deliveries: %w", err)
	}
	s.st = sm.New(sm.Config{
		Account: s.me.String(), Resource: s.cfg.Resource, Window: s.window, ReadSize: readSize, AskEvery: askEvery, DeadAfter: deadAfter, Journal: s.streams, Acked: s.streams.acked,
		TooLarge: s.releaseHeld,
	}, sm.State{Session: saved, Queue: queue})
	return nil
}

// releaseHeld passes on what is held, as a stanza that is too large comes behind it: order is given up rather than progress.
func (s *Side) releaseHeld() {
	s.mu.Lock()
	c := s.current
	s.mu.Unlock()
	c.holdback.release(s.inbox.push)
}

// setLive opens the gate for Send, or shuts it (nil).
func (s *Side) setLive(c *login, why string) {
	s.mu.Lock()
	s.live, s.why = c, why
	s.mu.Unlock()
	s.changed.Wake()
}

func (s *Side) setWhy(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = why
}

// stop makes Send answer ErrDown from here on.
func (s *Side) stop() {
	s.mu.Lock()
	s.stopping, s.why = true, "stopped"
	s.mu.Unlock()
	s.changed.Wake()
}

// leaving tells whether stop was called.
func (s *Side) leaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

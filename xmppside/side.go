package xmppside

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"mellium.im/xmpp/jid"

	"chatrelay/bridge"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/muc"
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

// The same of a component: nothing is resumed, so each second costs what comes meanwhile. It is noticed within 10 s.
const (
	componentAskEvery  = 2 * time.Second
	componentDeadAfter = 8 * time.Second

	settleAtLeast = 2 * time.Second // what has come is waited for, even if all of the time to drain is over
)

// Side is the counter towards one XMPP account. It implements bridge.Side.
type Side struct {
	translator
	gate
	cfg       Config
	me        jid.JID // bare
	journal   bridge.SideJournal
	log       zerolog.Logger
	connector *connector

	archive *mam.Archive
	others  *others
	streams *streamJournal
	inbox   *inbox
	events  *events
	st      *sm.Stream // set before the first connection
	window  int        // unconfirmed stanzas, at most
	most    int        // bytes of a stanza, where the server does not say

	// Owned by Run's goroutine, and by prepare's, which that begins and awaits.
	lost   []sm.Stanza // of streams that were lost, until the archive was asked
	loop   loop
	poison poison

	returned returned // what was given back, for the log

	seen int // of returns, when Send last looked; owned by Send's goroutine
}

// New makes the side of a configuration that configs has judged. The journal is its own.
func New(cfg Config, journal bridge.SideJournal) (*Side, error) {
	me, err := cfg.prepare()
	if err != nil {
		return nil, err
	}
	s := &Side{
		cfg: cfg, me: me, journal: journal, log: cfg.Log.With().Str("side", bridge.XMPP.String()).Logger(),
		gate: gate{why: "not started"}, window: defaultWindow, most: defaultStanza,
	}
	s.addr, s.maxMessage, s.texts, s.wishes = newAddresses(&s.cfg), s.cfg.MaxMessage, s.cfg.Clients.Texts, wishes(s.cfg.Clients)
	s.roomTexts = s.cfg.Clients.Rooms
	s.loop.s = s
	s.connector = newConnector(&s.cfg, loginOf(&s.cfg, me))
	s.archive = mam.New(s.addr.own, archiveHost{s}, journal, s.log)
	s.rooms = muc.New(muc.Config{Rooms: s.cfg.Rooms, Nick: s.cfg.Nick, Component: s.addr.component(), Ours: s.sentTo, Trusted: func(bare string) bool { return s.addr.trusted[bare] }, Side: roomHost{s}, Archives: s.archive, Journal: journal, Log: s.log})
	s.others = newOthers(s)
	s.contacts = newContacts(s.addr, journal, cfg.Clients.Presence)
	s.streams = newStreamJournal(s)
	s.inbox = newInbox(s)
	s.events = newEvents(s)
	s.poison = poison{s: s, strikes: map[bridge.Ref]int{}, buried: map[bridge.Ref]bool{}}
	return s, nil
}

// ID is bridge.XMPP.
func (s *Side) ID() bridge.SideID { return bridge.XMPP }

// Run connects, reconnects and offers until ctx ends; then it leaves in good order within the drain time.
func (s *Side) Run(ctx context.Context, in bridge.Inlet) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if m, ok := in.(bridge.EventInlet); ok {
		s.events.inlet = m
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx)) // offers go on while it drains
	defer end()
	asked := make(chan time.Time, 1) // when we were to stop
	defer context.AfterFunc(ctx, func() { asked <- time.Now() })()
	var wg sync.WaitGroup
	wg.Go(func() { s.inbox.run(running, in) })
	s.loop.run(ctx)
	s.stop()
	if s.cfg.Component { // nobody brings again what has come
		until := (<-asked).Add(s.cfg.Drain)
		if least := time.Now().Add(settleAtLeast); until.Before(least) {
			until = least
		}
		late, cancel := context.WithDeadline(running, until)
		_ = s.inbox.settled(late)
		cancel()
	}
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
	s.rooms.Restore(state)
	saved, stale := savedSession(state)
	if len(stale) > 0 {
		s.journal.SetState(bridge.XMPP, stale...)
	}
	s.streams.saved = saved.ID
	s.archive.Restore(state, saved.ID)
	s.others.restore(state)
	s.contacts.restore(state)
	queue, err := s.restore(ctx, saved)
	if err != nil {
		return fmt.Errorf("xmpp: read bound deliveries: %w", err)
	}
	stream := sm.Config{
		Account: s.me.String(), Resource: s.cfg.Resource, Window: s.window, ReadSize: readSize, AskEvery: askEvery, DeadAfter: deadAfter, Journal: s.streams, Acked: s.streams.acked,
		TooLarge: s.releaseHeld,
	}
	if s.cfg.Component {
		stream.ReadSize, stream.AskEvery, stream.DeadAfter = 0, componentAskEvery, componentDeadAfter
		stream.Self, stream.Shared = s.ids.relay(), s.sharesComponent
	}
	s.st = sm.New(stream, sm.State{Session: saved, Queue: queue})
	return nil
}

// releaseHeld passes on what is held, as a stanza that is too large comes behind it: order is given up rather than progress.
func (s *Side) releaseHeld() {
	s.mu.Lock()
	c := s.current
	s.mu.Unlock()
	c.holdback.release(s.inbox.push)
}

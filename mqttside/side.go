package mqttside

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/mqttside/session"
)

const (
	maxWindow  = 10_000
	maxNotices = 200                   // in flight beside the window
	askLimit   = session.KeepAlive / 4 // for the commit in front of a CONNECT
)

// Keys of the side's memory in the journal, beside those of rows.
const (
	stateSession = "session" // nonce of the session at the broker, and which broker that is
	stateLogin   = "login"   // there while a CONNECT is under way: the broker may have a new session since
	stateFilter  = "filter"  // what that session subscribes to
	stateDevices = "devices" // and for what devices say of themselves

	stateElsewhere = "elsewhere" // what other brokers have acknowledged, unproven
)

// Side is the counter towards one MQTT broker. It implements bridge.Side.
type Side struct {
	cfg     Config
	urls    []*url.URL
	journal bridge.SideJournal
	log     zerolog.Logger

	session  *session.Session
	trust    trust
	refusals refusals
	inbox    *inbox
	brokers  *brokers
	prover   prover

	// Owned by Run's goroutine, or written before it starts others.
	instance string // of this process, in the status
	gen      uint64
	filterAt string
	renewed  time.Time
	warnedAt time.Time
	fights   fights
	devices  devices
	poison   poison

	changed wait.Broadcast // rings when anything that Send or Run waits for may have changed

	mu        sync.Mutex // guards all below
	id        session.ID
	known     bool          // the journal knows of a session
	home      string        // broker that has it
	settled   uint64        // LastUnproven of what is known to be true or bounced, or stands in elsewhere
	uncertain bool          // the broker may have begun a new session without our knowing
	verdict   session.State // of checkSession, when it was asked just now; else unknown
	live      *connection
	stopping  bool
	why       string // not up because

	elsewhere []elsewhere
}

// New checks the configuration. The error names every problem.
func New(cfg Config, journal bridge.SideJournal) (*Side, error) {
	urls, err := cfg.prepare()
	if err != nil {
		return nil, err
	}
	s := &Side{
		cfg: cfg, urls: urls, journal: journal, log: cfg.Log.With().Str("side", bridge.MQTT.String()).Logger(),
		session: session.New(sessionJournal{journal}), inbox: newInbox(), brokers: newBrokers(journal, cfg.Version), why: "not started",
		instance: fmt.Sprintf("%x", newNonce()),
	}
	s.devices = devices{s: s, filter: cfg.Presence, heard: map[string]uint64{}}
	s.prover.closed = map[string]closure{}
	s.prover.topic = s.cfg.Prefix + "/" + newProbeName()
	s.trust.journal, s.trust.changed = journal, &s.changed
	s.refusals.journal, s.refusals.changed, s.refusals.log = journal, &s.changed, s.log
	return s, nil
}

// ID is bridge.MQTT.
func (s *Side) ID() bridge.SideID { return bridge.MQTT }

// Up tells whether the broker takes and brings messages, and in a few words why not.
func (s *Side) Up() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live != nil, s.why
}

// Run connects, reconnects and offers until ctx ends; then it leaves in good order within the drain time.
func (s *Side) Run(ctx context.Context, in bridge.Inlet) error {
	if err := s.restore(ctx); err != nil {
		return err
	}
	offered := make(chan struct{})
	var wg sync.WaitGroup // waited for below
	wg.Go(func() { defer close(offered); s.offer(ctx, in) })
	if k := s.loop(ctx, &wg); k != nil {
		<-offered
		s.leave(k)
	}
	s.prover.close()
	s.stop()
	wg.Wait()
	return nil
}

// restore reads what the journal remembers: once, before the first connection.
func (s *Side) restore(ctx context.Context) error {
	state, err := s.journal.State(ctx, bridge.MQTT)
	if err != nil {
		return fmt.Errorf("mqtt: read the side's memory: %w", err)
	}
	bound, err := s.journal.Bound(ctx, bridge.MQTT)
	if err != nil {
		return fmt.Errorf("mqtt: read bound deliveries: %w", err)
	}
	s.mu.Lock()
	if v := state[stateSession]; len(v) >= len(s.id) {
		s.id, s.known, s.home = session.ID(v[:len(s.id)]), true, string(v[len(s.id):])
	}
	s.uncertain = state[stateLogin] != nil
	s.restoreElsewhere(state[stateElsewhere], time.Now())
	id := s.id
	s.mu.Unlock()
	s.filterAt, s.devices.have = string(state[stateFilter]), string(state[stateDevices])
	s.brokers.restore(state)
	s.session.Load(id, state)
	if lost := s.resume(bound); lost > 0 {
		s.log.Warn().Int("deliveries", lost).Msg("bound deliveries cannot be resumed and are sent again")
	}
	return nil
}

// ask puts down that a CONNECT is under way. A broker that has lost our session makes a new one at once; should we
// die, or the CONNACK be lost, before the journal knows, the next CONNACK would tell of a session as if it were the
// old one: its filter and its released packets would be taken for there.
func (s *Side) ask(ctx context.Context) {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if !known {
		return
	}
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	// A journal in trouble keeps nobody from connecting: it drains through us.
	_ = s.journal.Wait(limited, s.journal.SetState(bridge.MQTT, bridge.StateRow{Key: stateLogin, Value: []byte{1}}))
}

// verifySession settles, where it matters and can be settled, whether the broker's session is ours.
func (s *Side) verifySession(ctx context.Context, u *url.URL) {
	s.mu.Lock()
	ask := s.uncertain && s.home == u.Host
	s.mu.Unlock()
	f := session.StateUnknown
	if ask && s.subscription(s.brokers.level(u.Host, time.Now())).sameInboxes(parseSubscribed(s.filterAt)) && s.session.Released() {
		f = s.checkSession(ctx, u)
	}
	s.mu.Lock()
	s.verdict = f
	s.mu.Unlock()
}

// unanswered notes that a CONNECT went out and no CONNACK came.
func (s *Side) unanswered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncertain = true
}

// begin acts on an accepted login, and resumes what is in flight. It tells whether the session is the one that the journal knows.
func (s *Side) begin(k *connection) (sure bool) {
	present := k.conn.Present
	s.mu.Lock()
	expected, f := s.known, session.StatePresent
	switch {
	case s.uncertain && s.verdict == session.StatePresent && present && s.home == k.url.Host:
	case !present || !expected || s.uncertain && s.verdict == session.StateGone:
		f = session.StateGone
		s.id, s.known = session.NewID(), true
	case s.uncertain || s.home != k.url.Host:
		f = session.StateUnknown
	}
	moved := expected && s.home != k.url.Host
	if moved {
		s.leaveBroker(s.home, time.Now()) // in front of the row that names the new one
	}
	s.home, s.uncertain = k.url.Host, false
	id := s.id
	s.mu.Unlock()
	home := bridge.StateRow{Key: stateSession, Value: append(id[:], k.url.Host...)}
	if f == session.StateGone {
		s.filterAt = ""
		k.conn.Raise(s.journal.SetState(bridge.MQTT, append(stateRows(s.session.Renew(id)), home, bridge.StateRow{Key: stateFilter})...))
	}
	if moved {
		s.filterAt = "" // it is of the other broker's
		s.journal.SetState(bridge.MQTT, bridge.StateRow{Key: stateFilter})
		s.trust.disown()
	}
	s.trust.begin(k.level)
	s.refusals.release() // what they were refused for is to be found out anew
	s.withdrawTooLong(k.url.Host)
	most, _ := s.brokers.window(k.url.Host, s.cfg.Window)
	maybe := s.session.Resume(k.conn, f, s.brokers.lacksQoS2(k.url.Host, time.Now()), most)
	countDoubtful(s.journal, maybe)
	// Behind the bindings: they must not be believed without it.
	s.journal.SetState(bridge.MQTT, home, bridge.StateRow{Key: stateLogin})
	switch {
	case f == session.StateGone && expected:
		s.log.Warn().Int("maybe_duplicate", maybe).
			Msg("the broker has lost our session: what was in flight is published again; messages that waited there are gone (check its persistence and session expiry)")
	case f == session.StateUnknown && maybe > 0:
		s.log.Warn().Int("maybe_duplicate", maybe).
			Msg("the broker may have lost our session: what it had taken in part is published again")
	}
	return f == session.StatePresent
}

// setLive opens the gate for Send, or shuts it (nil).
func (s *Side) setLive(k *connection, why string) {
	s.mu.Lock()
	s.live, s.why = k, why
	s.mu.Unlock()
	s.changed.Wake()
}

// stop makes Send answer ErrDown from here on.
func (s *Side) stop() {
	s.mu.Lock()
	s.stopping, s.why = true, "stopped"
	s.mu.Unlock()
	s.changed.Wake()
}

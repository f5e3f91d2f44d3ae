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
)

const (
	maxWindow  = 10_000
	maxNotices = 200 // in flight beside the window
)

// Keys of the side's memory in the journal, beside those of rows.
const (
	stateSession = "session" // nonce of the session at the broker, and which broker that is
	stateLogin   = "login"   // there while a CONNECT is under way: the broker may have a new session since
	stateFilter  = "filter"  // what that session subscribes to

	stateElsewhere = "elsewhere" // what other brokers have acknowledged, unproven
)

// Side is the counter towards one MQTT broker. It implements bridge.Side.
type Side struct {
	cfg     Config
	urls    []*url.URL
	journal bridge.SideJournal
	log     zerolog.Logger

	outbox  *outbox
	rows    *rows
	inbox   *inbox
	acker   *acker
	brokers *brokers
	prover  prover

	// Owned by Run's goroutine, or written before it starts others.
	instance  string // of this process, in the status
	gen       uint64
	filterAt  string
	renewed   time.Time
	saidRenew time.Time
	fights    fights
	looked    time.Time // for other relays
	poison    poison

	sending sync.Mutex     // held around each Publish of a leg and while the live link changes
	changed wait.Broadcast // rings when anything that Send or Run waits for may have changed

	mu       sync.Mutex // guards all below
	session  nonce
	known    bool   // the journal knows of a session
	home     string // broker that has it
	settled  uint64 // LastUnproven of what is known to be true or bounced, or stands in elsewhere
	unsure   bool   // the broker may have begun a new session without our knowing
	verdict  fate   // of checkSession, when it was asked just now; else unsure
	live     *link
	stopping bool
	why      string // not up because

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
		rows: newRows(journal), inbox: newInbox(), brokers: newBrokers(journal), why: "not started",
		instance: fmt.Sprintf("%x", newNonce()),
	}
	s.prover.closed = map[string]closure{}
	s.prover.topic = s.cfg.Prefix + "/" + newProbeName()
	s.outbox = newOutbox(journal, &s.changed)
	s.acker = newAcker(s)
	return s, nil
}

// ID is bridge.MQTT.
func (s *Side) ID() bridge.SideID { return bridge.MQTT }

// Up tells whether the broker takes and brings mail, and in a few words why not.
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
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	offered := make(chan struct{})
	var wg sync.WaitGroup // waited for below
	wg.Go(func() { defer close(offered); s.offer(ctx, in) })
	wg.Go(func() { s.acker.run(life) })
	if k := s.loop(ctx, &wg); k != nil {
		<-offered
		s.leave(k)
	}
	s.prover.close()
	s.stop()
	end()
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
	if v := state[stateSession]; len(v) >= len(s.session) {
		s.session, s.known, s.home = nonce(v[:len(s.session)]), true, string(v[len(s.session):])
	}
	s.unsure = state[stateLogin] != nil
	s.restoreElsewhere(state[stateElsewhere], time.Now())
	session := s.session
	s.mu.Unlock()
	s.filterAt = string(state[stateFilter])
	s.brokers.restore(state)
	s.rows.restore(session, state)
	if lost := s.outbox.restore(session, bound, s.topic); lost > 0 {
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
	limited, cancel := context.WithTimeout(ctx, commitLimit)
	defer cancel()
	// A journal in trouble keeps nobody from connecting: it drains through us.
	_ = s.journal.Wait(limited, s.journal.SetState(bridge.MQTT, bridge.StateRow{Key: stateLogin, Value: []byte{1}}))
}

// doubt settles, where it matters and can be settled, whether the broker's session is ours.
func (s *Side) doubt(ctx context.Context, u *url.URL) {
	s.mu.Lock()
	ask := s.unsure && s.home == u.Host
	s.mu.Unlock()
	f := unsure
	if ask && s.filterAt == s.subscription(s.brokers.level(u.Host, time.Now())) && s.outbox.released() {
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
	s.unsure = true
}

// begin acts on an accepted CONNACK before paho resumes. It tells whether the session is the one that the journal knows.
func (s *Side) begin(k *link, present bool) (sure bool) {
	s.mu.Lock()
	expected, f := s.known, kept
	switch {
	case s.unsure && s.verdict == kept && present && s.home == k.url.Host:
	case !present || !expected || s.unsure && s.verdict == lost:
		f = lost
		s.session, s.known = newNonce(), true
	case s.unsure || s.home != k.url.Host:
		f = unsure
	}
	moved := expected && s.home != k.url.Host
	if moved {
		s.leaveBroker(s.home, time.Now()) // in front of the row that names the new one
	}
	s.home, s.unsure = k.url.Host, false
	session := s.session
	s.mu.Unlock()
	home := bridge.StateRow{Key: stateSession, Value: append(session[:], k.url.Host...)}
	if f == lost {
		k.raise(s.journal.SetState(bridge.MQTT, append(s.rows.renew(session), home, bridge.StateRow{Key: stateFilter})...))
	}
	if moved {
		s.outbox.disown()
	}
	maybe := s.outbox.begin(k, f, session, s.brokers.lacksQoS2(k.url.Host, time.Now()))
	// Behind the bindings: they must not be believed without it.
	s.journal.SetState(bridge.MQTT, home, bridge.StateRow{Key: stateLogin})
	switch {
	case f == lost && expected:
		s.log.Warn().Int("maybe_duplicate", maybe).
			Msg("the broker has lost our session: what was in flight is published again; messages that waited there are gone (check its persistence and session expiry)")
	case f == unsure && maybe > 0:
		s.log.Warn().Int("maybe_duplicate", maybe).
			Msg("the broker may have lost our session: what it had taken in part is published again")
	}
	return f == kept
}

// setLive opens the gate for Send, or shuts it (nil) once no Publish is under way.
func (s *Side) setLive(k *link, why string) {
	s.sending.Lock()
	defer s.sending.Unlock()
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

package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/internal/fix"
	"chatrelay/mqttside/session"
)

// connection is one login at the broker, in the session of the relay.
type connection struct {
	echoes
	s     *Side
	gen   uint64
	url   *url.URL
	level session.Level
	conn  *session.Conn // nil: the login is not accepted
	at    time.Time     // when it was
	asked bool          // CONNECT may have gone out
	acks  ackLine
	sure  bool // the broker's session is the one that the journal knows

	mu       sync.Mutex // guards all below
	moved    bool       // a message came over it
	parted   bool       // closed by us in good order
	doomed   error      // it is to be closed for that
	fault    bool       // closed for a trouble of our own: reconnecting does not heal it
	dropping string     // why nothing more is taken off the wire; empty: it is
	refused  bool       // what was taken off it is not offered any more, either
	open     int        // messages taken and not yet acknowledged
}

// newConnection prepares an attempt.
func (s *Side) newConnection(u *url.URL) *connection {
	s.gen++
	return &connection{s: s, gen: s.gen, url: u, level: s.brokers.level(u.Host, time.Now())}
}

// connect logs in and resumes what is bound.
func (k *connection) connect(ctx context.Context) error {
	s := k.s
	user, password, err := s.cfg.login(k.url)
	if err != nil {
		return err
	}
	s.ask(ctx)
	s.verifySession(ctx, k.url)
	raw, err := transport(ctx, &s.cfg, k.url)
	if err != nil {
		return fmt.Errorf("%s: %w", k.url.Host, err)
	}
	k.asked = true
	o := session.Options{Level: k.level, ClientID: s.cfg.ClientID, Username: user, Password: password,
		Expiry: s.cfg.SessionExpiry, Longest: s.cfg.longestPublish(), Handler: k}
	if s.cfg.StatusTopic != "" {
		o.Will = &session.Will{Topic: s.cfg.StatusTopic, Payload: s.status("offline"), QoS: 1, Retain: !s.brokers.keepsNothing(k.url.Host)}
	}
	conn, err := login(ctx, raw, o)
	if err != nil {
		if !errors.As(err, new(session.Refused)) {
			s.unanswered()
		}
		return fmt.Errorf("%s: %w", k.url.Host, explain(err))
	}
	k.conn, k.at = conn, time.Now()
	if k.level == level5 { // before anything is resumed
		s.brokers.setLimits(k.url.Host, conn.Limits, k.at)
		s.sayExpiry(k)
	}
	k.sure = s.begin(k)
	conn.Start()
	return nil
}

var (
	errLogin       error = &fix.Error{Kind: fix.BadLogin, Err: errors.New("the broker refuses the login")}
	errClientID    error = &fix.Error{Kind: fix.BadClientID, Err: errors.New("the broker does not accept the client id")}
	errUnavailable error = &fix.Error{Kind: fix.Unavailable, Err: errors.New("the broker is not available")}
	errNoQoS       error = &fix.Error{Kind: fix.NoQoS, Err: errors.New("the broker confirms nothing: it takes no QoS above 0")}
	errRetain      error = &fix.Error{Kind: fix.Unavailable, Err: errors.New("the broker keeps no messages, as the status of the relay would be: set CHATRELAY_STATUS_TOPIC=off, or allow retained messages at the broker")}
	errWill        error = &fix.Error{Kind: fix.Unavailable, Err: errors.New("the broker does not take the status that the login of the relay brings: set CHATRELAY_STATUS_TOPIC=off, or let the broker take it")}
	errLevel             = errors.New("the broker refuses the protocol level")
)

// refused: the broker has answered a CONNECT, and refuses it. It is what it means and what came.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// explain says in the words of our configuration why a login failed.
func explain(err error) error {
	r, ok := errors.AsType[session.Refused](err)
	if !ok {
		return err
	}
	why := errLevel
	switch {
	case answerOf(err) == answerLogin:
		why = errLogin
	case r.Code == packets.ErrRefusedIDRejected, r.Code == session.CodeClientID:
		why = errClientID
	case r.Code == session.CodeNoQoS:
		why = errNoQoS
	case answerOf(err) == answerRetain:
		why = errRetain
	case r.Level == level5 && (r.Code == session.CodePacketTooLarge || r.Code == session.CodeBadPayload || r.Code == session.CodeBadTopic):
		why = errWill
	case answerOf(err) == answerOther:
		why = errUnavailable
	}
	if r.Level == level5 { // its codes say more
		why = fmt.Errorf("%w: %s", why, r.Meaning())
	}
	return refused{&both{why, err}}
}

// both is an error with what stands behind it. Its text is the first one's.
type both struct {
	error
	cause error
}

func (b *both) Unwrap() []error { return []error{b.error, b.cause} }

// ended tells how the far end closed an accepted login: quick, so soon after it that something about it is wrong; theirs
// is false where we closed it ourselves, for whatever reason.
func (k *connection) ended(within time.Duration) (quick, theirs bool) {
	quick = k.conn != nil && time.Since(k.at) < within
	return quick, k.conn != nil && k.conn.Lost() && !k.faulty() && !k.isParted()
}

func (k *connection) isParted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.parted
}

// faulty tells whether it was closed for a trouble that reconnecting does not heal: ours, or a broker that does not keep
// to MQTT.
func (k *connection) faulty() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	why := k.conn.Reason()
	return k.fault || errors.As(why, new(session.Breach)) || errors.Is(why, session.ErrJournal) || errors.Is(why, session.ErrSilent)
}

// healthy tells whether a closed link was of use, so that trying again at once is right.
func (k *connection) healthy() bool {
	return !k.faulty() && (k.carried() || time.Since(k.at) > stableAfter)
}

// carried tells whether anything came over it: a message or an acknowledgement.
func (k *connection) carried() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.moved || k.conn.Moved()
}

// during gives a context that ends with the connection, too. cancel waits for its goroutine.
func (k *connection) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-k.conn.Closed():
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); wg.Wait() }
}

func (k *connection) alive() bool { return k.conn.Reason() == nil }

// fail closes the connection for a trouble of our own; the broker brings again what was not acknowledged.
func (k *connection) fail(why error) {
	k.mu.Lock()
	k.fault = true
	k.mu.Unlock()
	k.conn.Close(why)
}

// doom lets inspect fail the connection: to close it here could take its time.
func (k *connection) doom(why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.doomed = why
}

// drop stops taking: all that comes from here on stays with the broker, in order. What came before is still offered.
func (k *connection) drop(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dropping == "" {
		k.dropping = why
	}
}

// refuse: a message of this connection was not accepted. It stays with the broker, and so do all behind it.
func (k *connection) refuse(why string) {
	k.drop(why)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused = true
}

// offers tells whether what was taken is still offered.
func (k *connection) offers() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.refused && k.alive()
}

func (k *connection) takes() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropping == "" && k.alive()
}

func (k *connection) taken(n int) {
	k.mu.Lock()
	k.open += n
	idle := k.open == 0
	k.mu.Unlock()
	if idle {
		k.s.changed.Wake()
	}
}

// dropped is why nothing is taken, and whether all that was taken before is acknowledged.
func (k *connection) dropped() (why string, done bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropping, k.open == 0
}

func (k *connection) progress() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.moved = true
}

// say publishes a probe.
func (k *connection) say(topic string, payload []byte) error {
	return k.conn.Publish(topic, payload, false)
}

func (k *connection) fence(ctx context.Context) error { return k.conn.Fence(ctx) }

// What the session tells of the connection. See session.Handler.

// Received takes what came.
func (k *connection) Received(p *session.Publish) { k.s.receive(k, p) }

// Answered settles what the broker has, or refuses.
func (k *connection) Answered(a session.Answer) { k.answered(a) }

// Downgraded notes that the broker has no QoS 2.
func (k *connection) Downgraded() { k.s.noQoS2(k, time.Now()) }

// Changed wakes those who wait for something of the connection.
func (k *connection) Changed() { k.s.changed.Wake() }

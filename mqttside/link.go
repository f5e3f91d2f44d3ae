package mqttside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/internal/fix"
)

const (
	keepAlive      = 10 * time.Second
	pingTimeout    = 5 * time.Second
	connectTimeout = 5 * time.Second
	// publishTimeout is how long paho's Publish waits for its writer. The writer never waits for the network,
	// so only a connection that is being taken down takes that long.
	publishTimeout = time.Second
)

const noAnswer = 0xff // no CONNACK came

// link is one connection to the broker with a paho client of its own. A client is not used twice: nothing of
// an old connection (packet ids, acknowledgements, goroutines) can then reach the next one.
type link struct {
	echoes
	s      *Side
	gen    uint64
	url    *url.URL
	level  uint
	client mqtt.Client
	store  *store
	sure   bool      // the broker's session is the one that the journal knows
	subbed chan byte // code of the one SUBACK; room for it

	mu       sync.Mutex // guards all below
	wire     *wire      // nil: not dialled yet
	code     byte       // of CONNACK
	present  bool       // the broker has our session
	at       time.Time  // of CONNACK
	moved    bool       // mail or an acknowledgement came after it
	parted   bool       // closed by us in good order
	fault    bool       // closed for a trouble of our own: reconnecting does not heal it
	dropping string     // why nothing more is taken off the wire; empty: it is
	refused  bool       // what was taken off it is not offered any more, either
	open     int        // messages taken and not yet acknowledged
}

// newLink prepares an attempt.
func (s *Side) newLink(ctx context.Context, u *url.URL) (*link, error) {
	user, password, err := s.cfg.login(u)
	if err != nil {
		return nil, err
	}
	s.gen++
	k := &link{s: s, gen: s.gen, url: u, level: s.brokers.level(u.Host, time.Now()), code: noAnswer, subbed: make(chan byte, 1)}
	k.store = &store{k: k, box: s.outbox}
	bare := *u
	bare.User = nil
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{&bare}
	o.SetClientID(s.cfg.ClientID).SetUsername(user).SetPassword(password)
	o.SetCleanSession(false).SetProtocolVersion(k.level).SetStore(k.store)
	o.SetAutoReconnect(false).SetConnectRetry(false).SetResumeSubs(false)
	// A silent broker is found by inspect, which knows what the line is busy with.
	o.SetOrderMatters(true).SetAutoAckDisabled(true)
	o.SetKeepAlive(keepAlive).SetPingTimeout(pingTimeout + mostBusy).SetConnectTimeout(connectTimeout).SetWriteTimeout(publishTimeout)
	// Set before Connect: with a session that is kept, mail comes before any SUBSCRIBE.
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { s.receive(k, m) })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { k.close(err) })
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return k.dial(ctx) })
	if s.cfg.StatusTopic != "" {
		o.SetBinaryWill(s.cfg.StatusTopic, s.status("offline"), 1, true)
	}
	k.client = mqtt.NewClient(o)
	return k, nil
}

func (k *link) dial(ctx context.Context) (net.Conn, error) {
	raw, err := transport(ctx, &k.s.cfg, k.url)
	if err != nil {
		return nil, err
	}
	w := newWire(raw, k, k.s.journal.Wait, k.s.cfg.longestPublish())
	k.mu.Lock()
	k.wire = w
	k.mu.Unlock()
	return w, nil
}

// connect logs in and resumes what is bound. It returns once the last resumed packet is with the writer.
func (k *link) connect(ctx context.Context) error {
	k.s.ask(ctx)
	k.s.doubt(ctx, k.url)
	t := k.client.Connect()
	select {
	case <-t.Done():
	case <-ctx.Done():
		k.close(ctx.Err())
		<-t.Done() // dialling ends with ctx, too
	}
	if err := t.Error(); err != nil {
		k.close(err)
		k.join()
		if k.asked() {
			k.s.unanswered()
		}
		return k.explain(err)
	}
	return nil
}

// explain says in the words of our configuration why a login failed.
func (k *link) explain(err error) error {
	switch k.result() {
	case packets.Accepted, noAnswer:
		return fmt.Errorf("%s: %w", k.url.Host, err)
	case packets.ErrRefusedBadUsernameOrPassword, packets.ErrRefusedNotAuthorised:
		return fmt.Errorf("%s: %w", k.url.Host, errLogin)
	case packets.ErrRefusedIDRejected:
		return fmt.Errorf("%s: %w", k.url.Host, errClientID)
	case packets.ErrRefusedBadProtocolVersion:
		return fmt.Errorf("%s: %w", k.url.Host, errLevel)
	}
	if answerOf(k.result()) == answerLevel {
		return fmt.Errorf("%s: %w", k.url.Host, k.conn().reason())
	}
	return fmt.Errorf("%s: %w", k.url.Host, errUnavailable)
}

var (
	errLogin       error = &fix.Error{Kind: fix.BadLogin, Err: errors.New("the broker refuses the login")}
	errClientID    error = &fix.Error{Kind: fix.BadClientID, Err: errors.New("the broker does not accept the client id")}
	errUnavailable error = &fix.Error{Kind: fix.Unavailable, Err: errors.New("the broker is not available")}
	errLevel             = errors.New("the broker refuses the protocol level")
)

func (k *link) result() byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.code
}

// ours tells whether we closed it, for whatever reason.
func (k *link) ours() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fault || k.parted
}

// ended tells how the far end closed an accepted login: quick, so soon after it that something about it is wrong; theirs
// is false where we closed it ourselves, for whatever reason.
func (k *link) ended(within time.Duration) (quick, theirs bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	quick = !k.at.IsZero() && time.Since(k.at) < within
	return quick, k.wire != nil && k.wire.lost() && !k.fault && !k.parted
}

// closed ends with the connection.
func (k *link) closed() <-chan struct{} { return k.conn().closed }

// during gives a context that ends with the connection, too. cancel waits for its goroutine.
func (k *link) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-k.closed():
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); wg.Wait() }
}

func (k *link) conn() *wire {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wire
}

func (k *link) alive() bool {
	w := k.conn()
	return w != nil && w.reason() == nil
}

func (k *link) raise(ticket uint64) { k.conn().raise(ticket) }

func (k *link) close(why error) {
	if w := k.conn(); w != nil {
		w.close(why)
	}
}

// join waits for the goroutine of a closed connection.
func (k *link) join() {
	if w := k.conn(); w != nil {
		w.join()
	}
}

// fail closes the connection for a trouble of our own; the broker brings again what was not acknowledged.
func (k *link) fail(why error) {
	k.mu.Lock()
	k.fault = true
	k.mu.Unlock()
	k.close(why)
}

// drop stops taking: all that comes from here on stays with the broker, in order. What came before is still offered.
func (k *link) drop(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dropping == "" {
		k.dropping = why
	}
}

// refuse: a message of this connection was not accepted. It stays with the broker, and so do all behind it.
func (k *link) refuse(why string) {
	k.drop(why)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused = true
}

// offers tells whether what was taken is still offered.
func (k *link) offers() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.refused && k.wire.reason() == nil
}

func (k *link) takes() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropping == "" && k.wire.reason() == nil
}

func (k *link) taken(n int) {
	k.mu.Lock()
	k.open += n
	idle := k.open == 0
	k.mu.Unlock()
	if idle {
		k.s.changed.Wake()
	}
}

// dropped is why nothing is taken, and whether all that was taken before is acknowledged.
func (k *link) dropped() (why string, done bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropping, k.open == 0
}

// What the wire is observed with. All of it is called on paho's goroutines, before paho acts; nothing waits.

func (k *link) connack(present bool, code byte) {
	k.mu.Lock()
	k.code, k.present, k.at = code, present, time.Now()
	k.mu.Unlock()
	if code == packets.Accepted {
		k.sure = k.s.begin(k, present) // read after Connect
	}
}

func (k *link) ack(kind byte, id uint16) error {
	k.progress()
	if kind != packets.Pubrel {
		noQoS2, err := k.s.outbox.ack(k, kind, id)
		if noQoS2 {
			k.s.noQoS2(k, time.Now())
		}
		return err
	}
	if ticket := k.s.rows.release(id); ticket > 0 {
		k.raise(ticket)
	}
	return nil
}

// say publishes a probe. It takes no packet id, so paho has no part in it.
func (k *link) say(topic string, payload []byte) error {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, payload
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return err
	}
	_, err := k.conn().Write(b.Bytes())
	return err
}

func (k *link) fence(ctx context.Context) error { return k.conn().fence(ctx) }

// asked tells whether the broker may have acted on our CONNECT although we do not know how.
func (k *link) asked() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wire != nil && k.code == noAnswer
}

func (k *link) progress() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.moved = true
}

func (k *link) suback(code byte) {
	select {
	case k.subbed <- code:
	default: // nobody asked for a second one
	}
}

func (k *link) writable() { k.s.changed.Wake() }

func (k *link) leaving(id uint16) { k.s.outbox.leaving(k, id) }

// breach: the broker does not keep to MQTT, and the wire closes next.
func (k *link) breach() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fault = true
}

func (k *link) barred(error) {
	k.mu.Lock()
	k.fault = true
	k.mu.Unlock()
	k.s.outbox.barred(k)
}

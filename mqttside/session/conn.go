package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"chatrelay/internal/wait"
)

// Times of a connection.
const (
	KeepAlive    = 10 * time.Second // without a packet of ours or of the broker's before a PINGREQ
	pingTimeout  = 5 * time.Second
	loginTimeout = 5 * time.Second // from CONNECT to CONNACK
	leaveTimeout = time.Second     // for the last bytes before a DISCONNECT closes the connection
)

// Level is a protocol level (MQTT-3.1.2.2). With the bridge bit a broker does not send us what we publish.
type Level byte

// Protocol levels.
const (
	Level5       Level = 5
	Level3       Level = 4
	Level3Bridge Level = 0x84
)

// Options say how to log in, and who is told what comes. ClientID and Level are required.
type Options struct {
	Level      Level
	ClientID   string
	Username   string
	Password   string
	CleanStart bool
	Expiry     time.Duration // of the session, by MQTT 5
	Will       *Will
	Longest    int // bytes of the longest PUBLISH, behind its fixed header, that is read whole; 0: any
	Handler    Handler
}

// Will is published by the broker when the connection ends without DISCONNECT.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// Handler is told what a connection brings, on its reading goroutine, in order.
type Handler interface {
	// Received takes a message. While it waits nothing is read. The message is acknowledged by Conn.Ack, or comes
	// again over the next connection. One longer than Options.Longest is cut, and still longer than that.
	Received(p *Publish)
	// Answered: the broker has a message that was sent, or refuses it.
	Answered(a Answer)
	// Downgraded: the broker has answered PUBACK to QoS 2, which brokers do that have none.
	Downgraded()
	// Changed: there is room for more (Conn.Crowded), a place in flight is free, or no packet waits for its turn any
	// more. It may be called from any goroutine, also under the session's lock.
	Changed()
}

// Errors that end a connection.
var (
	ErrSilent  = errors.New("the broker answers no ping")
	ErrJournal = errors.New("the journal did not commit in time")
	errWrite   = errors.New("write")
	errLeaving = errors.New("the connection says goodbye")
)

// Conn is one login at a broker. One goroutine reads and one writes.
type Conn struct {
	Present bool   // the broker had a session of our client id; never changes
	Limits  Limits // of the broker; likewise

	raw     net.Conn
	in      input
	o       Options
	session *Session // nil: of no session that is kept
	closed  chan struct{}
	halt    context.CancelFunc // of what the writer waits for
	running sync.WaitGroup
	pings   pings
	pace    pace
	moved   atomic.Bool // the broker has acknowledged something

	keepAlive time.Duration

	mu       sync.Mutex // guards all below
	ending   ending
	out      outgoing
	order    ackOrder
	requests requests       // SUBSCRIBE and UNSUBSCRIBE without an answer
	wake     wait.Signal    // of the writer
	idle     wait.Broadcast // rings when nothing waits to be written
}

// requests wait for answers, by packet id.
type requests map[uint16]request

type request struct {
	kind   byte // of the packet that answers
	answer chan []byte
}

// answered passes an answer on.
func (rs requests) answered(p *packet) error {
	r := rs[p.id]
	delete(rs, p.id)
	switch {
	case r.answer == nil:
	case r.kind != p.kind:
		return breachf("it answered a request with packet type %d", p.kind)
	default:
		r.answer <- p.codes // there is room for one
	}
	return nil
}

// ending is how a connection ended.
type ending struct {
	why     error // nil: it is open
	theirs  bool  // by the far end, or the network
	parting error // why we said goodbye
	leaving bool  // DISCONNECT is in line: nothing follows it (MQTT-3.14.4-1)
}

// closeReason is why nothing more can be put in line; nil: it can.
func (e *ending) closeReason() error {
	if e.why == nil && e.leaving {
		return errLeaving
	}
	return e.why
}

func codecOf(l Level) codec {
	if l == Level5 {
		return codec5{}
	}
	return codec3{}
}

// Login sends CONNECT and waits for CONNACK. Nothing else is read or written before Start. It takes over raw, and closes
// it when it fails: with Refused, a Breach, ctx's error or the network's.
func Login(ctx context.Context, raw net.Conn, o Options) (*Conn, error) {
	c := &Conn{
		raw: raw, o: o, closed: make(chan struct{}), halt: func() {},
		requests: requests{}, wake: wait.NewSignal(),
	}
	c.out.wrote = time.Now()
	c.pace.read.Store(wait.Running(c.out.wrote))
	c.in = input{bufio.NewReaderSize(pacedReader{raw, &c.pace}, readBuffer), codecOf(o.Level), o.Longest}
	stop := context.AfterFunc(ctx, func() { c.Close(ctx.Err()) })
	err := c.login()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close(err)
		return nil, c.Reason()
	}
	return c, nil
}

func (c *Conn) login() error {
	if err := c.raw.SetDeadline(time.Now().Add(loginTimeout)); err != nil {
		return err
	}
	if _, err := c.raw.Write(c.in.codec.append(nil, &packet{kind: kindConnect, login: &c.o})); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	p, err := c.in.next()
	switch {
	case err != nil:
		return err
	case p.kind != kindConnack: // MQTT-3.2.0-1
		return breachf("a packet of type %d before CONNACK", p.kind)
	case p.code != 0:
		return Refused{c.o.Level, p.code, p.reason}
	}
	c.Present, c.Limits, c.keepAlive = p.present, p.limits, KeepAlive
	if p.keepAlive > 0 {
		c.keepAlive = min(c.keepAlive, p.keepAlive)
	}
	return c.raw.SetDeadline(time.Time{})
}

// Start begins to read and to write. All that Session.Resume has put in line goes first.
func (c *Conn) Start() {
	ctx, halt := context.WithCancel(context.Background())
	c.mu.Lock()
	c.halt = halt
	closed := c.ending.why != nil
	c.mu.Unlock()
	if closed {
		halt()
	}
	c.running.Go(c.read)
	c.running.Go(func() { c.write(ctx) })
}

// Publish sends at QoS 0: it takes no packet id, and nobody knows what becomes of it.
func (c *Conn) Publish(topic string, payload []byte, retain bool) error {
	return c.send(packet{kind: kindPublish, Publish: Publish{Topic: topic, Payload: payload, Retain: retain}})
}

// Ack acknowledges a message of this connection: we have it. A closed connection takes no notice.
func (c *Conn) Ack(p *Publish) {
	switch p.QoS {
	case 1:
		c.endMessage(kindPuback, p.PacketID)
	case 2:
		_ = c.send(packet{kind: kindPubrec, id: p.PacketID}) // or it comes again
	}
}

// Subscribe asks for a filter. The channel gets the code of the answer (MQTT-3.9.3); it has room for it.
func (c *Conn) Subscribe(f Filter) (<-chan []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ask(packet{kind: kindSubscribe, filter: f}, kindSuback)
}

// Exchange takes a filter back and asks for another, in one write: what others publish between the two reaches nobody. An empty one is
// left out. The channel gets the code of the last answer, which to a filter that is taken back is none by MQTT 3.1.1.
func (c *Conn) Exchange(former string, f Filter) (answer <-chan []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if former != "" {
		answer, err = c.ask(packet{kind: kindUnsubscribe, filter: Filter{Topic: former}}, kindUnsuback)
	}
	if f.Topic != "" && err == nil {
		answer, err = c.ask(packet{kind: kindSubscribe, filter: f}, kindSuback)
	}
	return answer, err
}

// firstRequest is the lowest packet id of requests: those below are for messages, so that the two never meet.
const firstRequest = 0xff00

// ask puts a request in line. c.mu is held.
func (c *Conn) ask(p packet, answeredBy byte) (<-chan []byte, error) {
	for p.id = firstRequest; c.requests[p.id].answer != nil; p.id++ {
		if p.id == 0xffff {
			return nil, errors.New("too many requests are open")
		}
	}
	answer := make(chan []byte, 1)
	c.requests[p.id] = request{answeredBy, answer}
	return answer, c.add(p)
}

// Fence waits until the broker has answered a ping behind all that was written: it has read that.
func (c *Conn) Fence(ctx context.Context) error {
	c.mu.Lock()
	n := c.pings.ask()
	err := c.add(packet{kind: kindPingreq})
	c.mu.Unlock()
	if err != nil {
		return err
	}
	ok, err := c.pings.await(ctx, n, c.closed)
	if !ok && err == nil {
		err = c.Reason()
	}
	return err
}

// Parting is how to say goodbye.
type Parting struct {
	Why        error
	Linger     time.Duration // for the broker to close
	EndSession bool          // the broker is to forget it; by MQTT 5
}

// Disconnect says goodbye behind all that was written, so that the will stays where it is, gives the broker some time to
// close, and closes. What still waits for its turn does not leave: it comes again, and is known then.
func (c *Conn) Disconnect(p Parting) {
	c.mu.Lock()
	c.ending.parting = p.Why
	err := c.add(packet{kind: kindDisconnect, end: p.EndSession})
	c.ending.leaving = true
	c.mu.Unlock()
	if err == nil {
		c.settle(leaveTimeout)
		t := time.NewTimer(p.Linger)
		defer t.Stop()
		select {
		case <-c.closed:
		case <-t.C:
		}
	}
	c.Close(p.Why)
}

// Close ends the connection, for a reason of our own.
func (c *Conn) Close(why error) { c.end(why, false) }

// end ends the connection once, for the first reason given.
func (c *Conn) end(why error, theirs bool) {
	c.mu.Lock()
	if c.ending.why != nil {
		c.mu.Unlock()
		return
	}
	if parting := c.ending.parting; parting != nil { // whoever closes now, we wanted it
		why, theirs = parting, false
	}
	c.ending.why, c.ending.theirs = why, theirs
	halt := c.halt
	c.mu.Unlock()
	close(c.closed)
	halt()
	_ = c.raw.Close() // nothing of it is used any more
}

// Join waits for the goroutines of a closed connection.
func (c *Conn) Join() { c.running.Wait() }

// Closed ends with the connection.
func (c *Conn) Closed() <-chan struct{} { return c.closed }

// Reason is why the connection ended; nil while it is open.
func (c *Conn) Reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending.why
}

// Lost tells whether the far end or the network closed it.
func (c *Conn) Lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending.theirs
}

// Moved tells whether the broker has acknowledged or released anything.
func (c *Conn) Moved() bool { return c.moved.Load() }

// Holds tells whether a packet that ends a message waits for its turn.
func (c *Conn) Holds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.holds()
}

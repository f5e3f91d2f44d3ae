package clients

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
)

// MQTTConfig is one MQTT client. Its session is persistent.
type MQTTConfig struct {
	Addr, ClientID     string
	Username, Password string
	Subscribe          []string // filters, at QoS 2
	KeepAlive          time.Duration
	// OnMessage gets each message once, in order, from one goroutine. It may not call the client.
	OnMessage func(topic string, payload []byte)
}

// MQTT is a client that comes back after a lost connection and goes on where it was.
type MQTT struct {
	cfg  MQTTConfig
	end  context.CancelFunc
	done chan struct{}

	mu     sync.Mutex    // guards all below
	conn   net.Conn      // nil: down
	up     chan struct{} // closed while subscribed, made anew when down
	lastID uint16
	flying []*flight       // in the order they were published
	held   map[uint16]bool // inbound QoS 2 ids between PUBLISH and PUBREL
}

// flight is a publish that the broker has not confirmed.
type flight struct {
	publication
	released bool // PUBREC came: PUBREL is what is repeated
	done     chan struct{}
}

// DialMQTT starts a client and waits until it is subscribed.
func DialMQTT(ctx context.Context, cfg MQTTConfig) (*MQTT, error) {
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = 10 * time.Second
	}
	ctx, end := context.WithCancel(context.Background())
	c := &MQTT{cfg: cfg, end: end, done: make(chan struct{}), up: make(chan struct{}), held: map[uint16]bool{}}
	go func() { defer close(c.done); keep(ctx, c.live) }() // Close waits for it
	if err := c.Ready(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("clients: mqtt %s: %w", cfg.ClientID, err)
	}
	return c, nil
}

// Ready waits until the client is connected and subscribed.
func (c *MQTT) Ready(ctx context.Context) error {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the client; its session stays with the broker.
func (c *MQTT) Close() {
	c.end()
	c.write([]byte{pktDisconnect, 0})
	c.Cut()
	<-c.done
}

// Cut drops the connection; the client comes back by itself.
func (c *MQTT) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // the reader sees it
	}
}

// Publish returns when the broker has taken the message over: at QoS 0 when it is written. A lost
// connection does not fail it: it waits for the next.
func (c *MQTT) Publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	return c.publish(ctx, publication{topic: topic, payload: payload, qos: qos})
}

// Retain publishes a retained message.
func (c *MQTT) Retain(ctx context.Context, topic string, payload []byte) error {
	return c.publish(ctx, publication{topic: topic, payload: payload, qos: 1, retain: true})
}

func (c *MQTT) publish(ctx context.Context, p publication) error {
	if p.qos == 0 {
		if err := c.Ready(ctx); err != nil {
			return err
		}
		c.write(p.packet(false))
		return nil
	}
	f := c.take(p)
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(f)
		return ctx.Err()
	}
}

// take gives the message an id and writes it; while down the next connection does.
// (conn is set under the same lock that resume holds, so nothing is written twice or out of order.)
func (c *MQTT) take(p publication) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	for used := true; used; {
		if c.lastID++; c.lastID == 0 {
			c.lastID = 1
		}
		used = c.find(c.lastID) != nil
	}
	p.id = c.lastID
	f := &flight{publication: p, done: make(chan struct{})}
	c.flying = append(c.flying, f)
	c.writeLocked(p.packet(false))
	return f
}

func (c *MQTT) isUp() bool {
	select {
	case <-c.up:
		return true
	default:
		return false
	}
}

func (c *MQTT) find(id uint16) *flight {
	for _, f := range c.flying {
		if f.id == id {
			return f
		}
	}
	return nil
}

func (c *MQTT) drop(gone *flight) {
	for i, f := range c.flying {
		if f == gone {
			c.flying = append(c.flying[:i], c.flying[i+1:]...)
			return
		}
	}
}

// live is one connection.
func (c *MQTT) live(ctx context.Context) error {
	d := net.Dialer{Timeout: synTimeout}
	conn, err := d.DialContext(ctx, "tcp", c.cfg.Addr)
	if err != nil {
		return err
	}
	defer c.down(conn)
	r := bufio.NewReader(conn)
	present, err := c.connect(ctx, conn, r)
	if err != nil {
		return err
	}
	c.resume(conn, present)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); c.ping(stop) }()
	defer wg.Wait()
	defer close(stop)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(2 * c.cfg.KeepAlive)); err != nil {
			return err
		}
		first, body, err := readPacket(r)
		if err != nil {
			return err
		}
		if err := c.handle(first, body); err != nil {
			return err
		}
	}
}

func (c *MQTT) connect(ctx context.Context, conn net.Conn, r *bufio.Reader) (present bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return false, err
	}
	flags, login := byte(0), []byte(nil)
	if c.cfg.Username != "" {
		flags, login = 0xC0, append(text(c.cfg.Username), text(c.cfg.Password)...)
	}
	alive := u16(uint16(c.cfg.KeepAlive / time.Second))
	if _, err := conn.Write(packet(pktConnect, text("MQTT"), []byte{4, flags}, alive, text(c.cfg.ClientID), login)); err != nil {
		return false, err
	}
	first, body, err := readPacket(r)
	if err != nil {
		return false, err
	}
	if first != pktConnack || len(body) != 2 || body[1] != 0 {
		return false, fmt.Errorf("clients: mqtt %s: CONNACK %x", c.cfg.ClientID, body)
	}
	return body[0]&1 != 0, conn.SetDeadline(time.Time{})
}

// resume repeats what is unconfirmed, in order (MQTT-4.4.0-1, MQTT-4.6.0-1).
func (c *MQTT) resume(conn net.Conn, present bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	if !present {
		clear(c.held)
	}
	for _, f := range append([]*flight(nil), c.flying...) {
		switch {
		case !f.released:
			c.writeLocked(f.packet(present))
		case present:
			c.writeLocked(packet(pktPubrel, u16(f.id)))
		default: // the broker had it, and the session that would confirm it is gone
			c.settle(f)
		}
	}
	if len(c.cfg.Subscribe) == 0 {
		close(c.up)
		return
	}
	filters := []byte{}
	for _, s := range c.cfg.Subscribe {
		filters = append(append(filters, text(s)...), 2)
	}
	c.lastID++ // a SUBSCRIBE's id is never one of flying: those are far behind or just repeated
	for c.lastID == 0 || c.find(c.lastID) != nil {
		c.lastID++
	}
	c.writeLocked(packet(pktSubscribe, u16(c.lastID), filters))
}

func (c *MQTT) settle(f *flight) {
	c.drop(f)
	close(f.done)
}

func (c *MQTT) down(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = conn.Close() // may be closed already
	c.conn = nil
	if c.isUp() {
		c.up = make(chan struct{})
	}
}

func (c *MQTT) ping(stop <-chan struct{}) {
	t := time.NewTicker(c.cfg.KeepAlive / 2)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.write([]byte{pktPingreq, 0})
		case <-stop:
			return
		}
	}
}

func (c *MQTT) handle(first byte, body []byte) error {
	if first&0xF0 == pktPublish {
		return c.receive(first, body)
	}
	if first == pktPingresp {
		return nil
	}
	if len(body) < 2 {
		return errMalformed
	}
	id := binary.BigEndian.Uint16(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch first {
	case pktSuback:
		if !c.isUp() {
			close(c.up)
		}
	case pktPubrel:
		delete(c.held, id)
		c.writeLocked(packet(pktPubcomp, u16(id)))
	case pktPubrec:
		if f := c.find(id); f != nil {
			f.released = true
		}
		c.writeLocked(packet(pktPubrel, u16(id)))
	case pktPuback, pktPubcomp:
		if f := c.find(id); f != nil {
			c.settle(f)
		}
	}
	return nil
}

// receive hands a message on once: a QoS 2 id is held until its PUBREL (MQTT-4.3.3, method B).
func (c *MQTT) receive(first byte, body []byte) error {
	p, err := parsePublication(first, body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	known := p.qos == 2 && c.held[p.id]
	if p.qos == 2 {
		c.held[p.id] = true
	}
	c.mu.Unlock()
	if !known && c.cfg.OnMessage != nil {
		c.cfg.OnMessage(p.topic, p.payload)
	}
	switch p.qos {
	case 1:
		c.write(packet(pktPuback, u16(p.id)))
	case 2:
		c.write(packet(pktPubrec, u16(p.id)))
	}
	return nil
}

func (c *MQTT) write(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeLocked(b)
}

// writeLocked drops what cannot be written: the reader finds the connection lost, and what matters is
// repeated on the next.
func (c *MQTT) writeLocked(b []byte) {
	if c.conn == nil {
		return
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(dialTimeout)); err != nil {
		return
	}
	if _, err := c.conn.Write(b); err != nil {
		_ = c.conn.Close()
	}
}

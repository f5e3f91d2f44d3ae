// Package proxy is a TCP proxy that breaks connections in the ways networks do. Tests put it between the
// relay and a server. With Listen it knows nothing of what it carries; with ListenMQTT it sees MQTT packets
// one by one and can drop one or cut the connection right before or after it.
package proxy

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Direction is one of the two ways bytes go.
type Direction int

// The two ways.
const (
	Up   Direction = iota // from the one who connected to the target
	Down                  // and back
)

func (d Direction) String() string { return [...]string{"up", "down"}[d] }

// Proxy listens on a free loopback port and carries each connection to its target. All methods may be
// called from any goroutine.
type Proxy struct {
	target string
	filter func(Packet) Verdict // nil: bytes are carried as they come
	ln     net.Listener
	wg     sync.WaitGroup // accept and every pump

	mu        sync.Mutex // guards all below
	links     map[*link]struct{}
	accepted  int
	closed    bool
	blackhole bool
	refuse    bool
	stalled   [2]bool
	delay     time.Duration
	rate      int           // bytes a second each way of each connection; 0: as fast as it goes
	changed   chan struct{} // closed when a setting changes, then made anew
}

// Listen carries to target (host:port) whatever comes. End it with Close.
func Listen(target string) (*Proxy, error) { return listen(target, nil) }

// ListenMQTT carries to target and asks filter about each MQTT packet, in order within a connection and a
// direction, from several goroutines.
func ListenMQTT(target string, filter func(Packet) Verdict) (*Proxy, error) {
	return listen(target, filter)
}

// New is Listen for a test: it ends with it.
func New(tb testing.TB, target string) *Proxy {
	tb.Helper()
	return attach(tb)(Listen(target))
}

// NewMQTT is ListenMQTT for a test: it ends with it.
func NewMQTT(tb testing.TB, target string, filter func(Packet) Verdict) *Proxy {
	tb.Helper()
	return attach(tb)(ListenMQTT(target, filter))
}

func attach(tb testing.TB) func(*Proxy, error) *Proxy {
	return func(p *Proxy, err error) *Proxy {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := p.Close(); err != nil {
				tb.Error(err)
			}
		})
		return p
	}
}

func listen(target string, filter func(Packet) Verdict) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{target: target, filter: filter, ln: ln, links: map[*link]struct{}{}, changed: make(chan struct{})}
	p.wg.Add(1)
	go p.accept() // Close waits for it
	return p, nil
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Accepted is how many connections came so far; Open how many are still carried.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Open is how many connections there are now.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Cut resets every connection, on both sides. New ones are carried as before.
func (p *Proxy) Cut() {
	for _, l := range p.all() {
		l.cut()
	}
}

// Refuse makes every new connection end at once with a reset, as when nothing listens.
func (p *Proxy) Refuse(on bool) { p.set(func() { p.refuse = on }) }

// Blackhole swallows all bytes in both directions and accepts new connections without carrying them.
// Turning it off cuts them all: their streams have holes. (To hold bytes back instead, use Stall.)
func (p *Proxy) Blackhole(on bool) {
	p.set(func() { p.blackhole = on })
	if !on {
		p.Cut()
	}
}

// Stall stops reading in one direction, so that the sender's buffers fill up; off, all goes on.
func (p *Proxy) Stall(d Direction, on bool) { p.set(func() { p.stalled[d] = on }) }

// Delay holds everything back that long, in each direction. Order is kept.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// Throttle lets through no more than so many bytes a second, each way of each connection, and lets little wait in
// between; 0: as fast as it goes. Connections that were made before keep what their buffers hold.
func (p *Proxy) Throttle(rate int) { p.set(func() { p.rate = rate }) }

// throttled is the rate now.
func (p *Proxy) throttled() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate
}

// HalfOpen resets the target's side of every connection and leaves the other side open and silent, as
// when a middlebox forgot about it. New connections are carried as before.
func (p *Proxy) HalfOpen() {
	for _, l := range p.all() {
		l.halfOpen()
	}
}

// Close ends everything.
func (p *Proxy) Close() error {
	p.set(func() { p.closed = true })
	err := p.ln.Close()
	p.Cut()
	p.wg.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("proxy: %w", err)
	}
	return nil
}

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*link, 0, len(p.links))
	for l := range p.links {
		out = append(out, l)
	}
	return out
}

func (p *Proxy) accept() {
	defer p.wg.Done()
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		if l := p.admit(c.(*net.TCPConn)); l != nil {
			go l.carry() // Close waits for it
		}
	}
}

// admit journals a connection, or resets it.
func (p *Proxy) admit(c *net.TCPConn) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted++
	if p.closed || p.refuse {
		reset(c)
		return nil
	}
	l := &link{p: p, n: p.accepted, client: c, done: make(chan struct{})}
	p.links[l] = struct{}{}
	p.wg.Add(1)
	return l
}

// gate waits while a direction is stalled. swallow: the bytes go nowhere.
func (p *Proxy) gate(d Direction, done <-chan struct{}) (swallow bool, delay time.Duration) {
	for {
		p.mu.Lock()
		stalled, changed := p.stalled[d], p.changed
		swallow, delay = p.blackhole, p.delay
		p.mu.Unlock()
		if !stalled || swallow {
			return swallow, delay
		}
		select {
		case <-changed:
		case <-done:
			return true, 0
		}
	}
}

// reset ends a connection with RST: the other end sees an error, not an end.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // fails only on a closed connection
	_ = c.Close()
}

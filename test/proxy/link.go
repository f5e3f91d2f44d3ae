package proxy

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// queued is how many pieces may wait for their time in one direction.
const queued = 1024

// link is one connection through the proxy.
type link struct {
	p      *Proxy
	n      int // first connection: 1
	client *net.TCPConn
	done   chan struct{} // closed by cut
	five   atomic.Bool   // the client speaks MQTT 5

	mu     sync.Mutex // guards server, half and gone
	server *net.TCPConn
	half   bool // the target's side is gone on purpose
	gone   bool
}

// piece is bytes with the time at which they may go on.
type piece struct {
	data []byte
	due  time.Time
	last bool // end the connection after it
}

// carry pumps both ways until one side ends.
func (l *link) carry() {
	defer l.p.wg.Done()
	defer l.forget()
	server := l.dial()
	if server == nil {
		l.drain()
		l.cut()
		return
	}
	var wg sync.WaitGroup
	wg.Add(2)
	go func() { defer wg.Done(); l.pump(Up, l.client, server) }()
	go func() { defer wg.Done(); l.pump(Down, server, l.client) }()
	wg.Wait()
	l.cut()
}

// dial connects to the target. nil: in a black hole, or nobody is there (then the link is cut).
func (l *link) dial() *net.TCPConn {
	if swallow, _ := l.p.gate(Up, l.done); swallow {
		return nil
	}
	c, err := net.DialTimeout("tcp", l.p.target, 5*time.Second)
	if err != nil {
		l.cut()
		return nil
	}
	server := c.(*net.TCPConn)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		reset(server)
		return nil
	}
	if l.half {
		reset(server) // HalfOpen came during the dial
	}
	l.server = server
	return server
}

// drain swallows what the client says until the link is cut or the client goes.
func (l *link) drain() { _, _ = io.Copy(io.Discard, l.client) }

// pump carries one direction. The writing goroutine keeps a delay from slowing the reading one.
func (l *link) pump(d Direction, from, to *net.TCPConn) {
	pieces := make(chan piece, queued)
	written := make(chan struct{})
	go func() { defer close(written); l.write(d, pieces, to) }() // waited for below
	err := l.read(d, from, pieces)
	close(pieces)
	<-written
	l.ended(d, err, to)
}

// ended passes the end of one direction on as what it was.
func (l *link) ended(d Direction, err error, to *net.TCPConn) {
	swallow, _ := l.p.gate(d, l.done)
	switch half := l.halved(); {
	case swallow || half && d == Down:
		<-l.done // nobody is to notice
	case err == io.EOF && !half:
		_ = to.CloseWrite() // the other direction may go on
	default:
		l.cut()
	}
}

// read passes on until the direction ends, and says how it ended.
func (l *link) read(d Direction, from *net.TCPConn, out chan<- piece) error {
	next := l.raw(from)
	if l.p.filter != nil {
		next = l.packets(d, bufio.NewReader(from))
	}
	for {
		data, verdict, err := next()
		swallow, delay := l.p.gate(d, l.done)
		if verdict == CutBefore {
			l.cut()
			return net.ErrClosed
		}
		if verdict != Drop && !swallow && len(data) > 0 {
			select {
			case out <- piece{data, time.Now().Add(delay), verdict == CutAfter}:
			case <-l.done:
				return net.ErrClosed
			}
		}
		if err != nil {
			return err
		}
		if verdict == CutAfter {
			return net.ErrClosed
		}
	}
}

func (l *link) raw(from io.Reader) func() ([]byte, Verdict, error) {
	return func() ([]byte, Verdict, error) {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		return buf[:n], Pass, err
	}
}

func (l *link) write(d Direction, in <-chan piece, to *net.TCPConn) {
	for p := range in {
		if wait := time.Until(p.due); wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-l.done:
				t.Stop()
			}
		}
		if l.halved() && d == Up {
			continue
		}
		if err := l.pace(p.data, to); err != nil && !l.halved() {
			l.cut()
		}
		if p.last {
			l.cutAfter(to)
		}
	}
}

// pace writes in pieces, with a pause before each, while the proxy is throttled.
func (l *link) pace(data []byte, to *net.TCPConn) error {
	for {
		rate, n := l.p.throttled(), len(data)
		if rate > 0 {
			n = min(n, max(1, rate/20))
			t := time.NewTimer(time.Duration(n) * time.Second / time.Duration(rate))
			select {
			case <-t.C:
			case <-l.done:
				t.Stop()
			}
		}
		if _, err := to.Write(data[:n]); err != nil {
			return err
		}
		if data = data[n:]; len(data) == 0 {
			return nil
		}
	}
}

// cut resets both sides.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return
	}
	l.gone = true
	close(l.done)
	reset(l.client)
	if l.server != nil {
		reset(l.server)
	}
}

// cutAfter ends the side that got the last packet in good order, so that it is read, and resets the other.
func (l *link) cutAfter(to *net.TCPConn) {
	l.mu.Lock()
	if !l.gone {
		_ = to.Close() // a failure leaves nothing to end
	}
	l.mu.Unlock()
	l.cut()
}

func (l *link) halfOpen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.half = true
	if l.server != nil && !l.gone {
		reset(l.server)
	}
}

func (l *link) halved() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.half
}

func (l *link) forget() {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	delete(l.p.links, l)
}

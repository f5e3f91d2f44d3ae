package sm

import (
	"crypto/tls"
	"net"
	"time"

	"mellium.im/xmpp"

	"chatrelay/internal/wait"
)

// transport is the connection that mellium sees once it is authenticated: above TLS, below XML. Reading, it
// counts; it has ReadByte, so that xml.Decoder buffers nothing and the count is exact at each token. What
// is written goes straight through until Bind has done its work, and into the stream's outbox from then
// on: a Write then neither waits nor touches the network.
type transport struct {
	net.Conn
	connection *Connection

	// Of the goroutine that reads.
	buf      [bufferSize]byte
	r, w     int
	fast     FastPath // nil: the decoder reads all
	in       scanner
	names    streamNames
	counting bool
	inStanza bool
	started  uint64 // stanzas whose start has been read
	finished uint64 // stanzas that have been read
	entered  uint64 // stanzas that a handler saw, or nobody will
	inError  bool
	broken   error  // nothing more is read
	errRaw   []byte // the server's <stream:error/>; also read once the reader has ended

	// Guarded by Stream.mu.
	queued bool
	out    scanner
	part   []byte // of the element that is being written
	ended  bool   // mellium said </stream:stream>: what follows is not for the wire
}

const (
	bufferSize  = 16 << 10 // what is larger is the decoder's
	mostScans   = 4        // of a stanza that comes in pieces; then the decoder reads it
	maxErrRaw   = 8 << 10
	streamClose = "</stream:stream>"
)

// SASL makes f (an xmpp.SASL feature) put the counting connection in place once it has succeeded. The
// stream restarts there anyway.
func (l *Connection) SASL(f xmpp.StreamFeature) xmpp.StreamFeature {
	f.Negotiate = l.afterwards(f.Negotiate)
	return f
}

// begin starts counting: h stanzas came before.
func (c *transport) begin(h uint64) {
	// Until here all was read as it should be, and the decoder stands behind an element at the top.
	c.counting, c.in.odd = true, c.in.depth != 1 || c.in.size != 0
	c.started, c.finished, c.entered = h, h, h
}

// ConnectionState is TLS's, if there is any; mellium asks for it.
func (c *transport) ConnectionState() tls.ConnectionState {
	if t, ok := c.Conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return t.ConnectionState()
	}
	return tls.ConnectionState{}
}

// ReadByte is what xml.Decoder calls.
func (c *transport) ReadByte() (byte, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	if c.finished != c.entered {
		// Somebody reads on and no handler saw that stanza: mellium gave it to a waiting SendIQ.
		c.entered = c.finished
		c.connection.bypass(c.finished)
	}
	for more := true; more; more = c.scan() {
		if c.r == c.w {
			n, err := c.fill(c.buf[:])
			if n == 0 {
				return 0, err
			}
			c.r, c.w = 0, n
		}
	}
	b := c.names.read(&c.in, c.buf[c.r])
	c.r++
	c.count(b)
	if c.in.tooLarge() {
		return 0, c.tooLarge()
	}
	return b, nil
}

// scan hands over the stanza that stands next if the fast path reads it. The decoder sees nothing of it: for it the byte that
// follows is the next one of the stream.
func (c *transport) scan() bool {
	switch {
	case c.fast == nil, c.in.odd:
		return false // there is none, or nobody knows where the decoder is
	case c.in.size > 0:
		return false // within an element, or in whitespace, which the decoder has begun to read
	}
	n := c.fast.Scan(c.buf[c.r:c.w])
	for tries := 1; n < 0 && tries < mostScans && c.more(); tries++ {
		n = c.fast.Scan(c.buf[c.r:c.w])
	}
	if n <= 0 {
		return false
	}
	c.r += n
	c.started++
	c.entered = c.started
	m, ok := c.connection.handOver(c.started)
	c.finished = c.started
	c.connection.finish(c.finished)
	if ok {
		c.fast.Handle(m)
	}
	return true
}

// more reads on behind what is in the buffer. False: there is no room, or nothing comes any more; the next read will say so again.
func (c *transport) more() bool {
	c.w = copy(c.buf[:], c.buf[c.r:c.w])
	c.r = 0
	if c.w == len(c.buf) {
		return false
	}
	n, _ := c.fill(c.buf[c.w:])
	c.w += n
	return n > 0
}

// fill reads from the network, and notes for how long it waited.
func (c *transport) fill(into []byte) (int, error) {
	l, clock := c.connection, c.connection.st.cfg.Clock
	began := wait.Running(clock.Now())
	l.blocked.Store(began)
	n, err := c.Conn.Read(into)
	now := wait.Running(clock.Now())
	l.idle.Add(now - began)
	l.blocked.Store(0)
	if n > 0 {
		l.heard.Store(now)
	}
	return n, err
}

// Read is for whoever does not know ReadByte.
func (c *transport) Read(p []byte) (int, error) {
	for i := range p {
		if i > 0 && c.r == c.w {
			return i, nil
		}
		b, err := c.ReadByte()
		if err != nil {
			return i, err
		}
		p[i] = b
	}
	return len(p), nil
}

func (c *transport) count(b byte) {
	ev := c.in.step(b)
	if c.inError && len(c.errRaw) < maxErrRaw {
		c.errRaw = append(c.errRaw, b)
	}
	switch ev {
	case started:
		switch {
		case c.in.isStanza():
			c.inStanza = true
			if c.counting {
				c.started++
			}
		case string(c.in.name) == "stream:error":
			c.inError = true
			c.errRaw = append(append(append(c.errRaw[:0], '<'), c.in.name...), b)
		}
	case closed:
		c.inError = false
		if c.inStanza && c.counting && c.finished < c.started {
			c.finished++
			c.connection.finish(c.finished)
		}
		c.inStanza = false
	}
}

// Write sends at once before the stream is ready, and queues afterwards.
func (c *transport) Write(p []byte) (int, error) {
	s := c.connection.st
	s.mu.Lock()
	if c.queued {
		defer s.mu.Unlock()
		return c.enqueue(p)
	}
	for _, b := range p {
		c.out.step(b)
	}
	s.mu.Unlock()
	return c.send(p)
}

// send writes to the network. A context would not stop it; the deadline does.
func (c *transport) send(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.connection.st.cfg.WriteTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// enqueue cuts what mellium writes into stanzas. An owner of an old connection is refused: what is not
// in the outbox of the stream as it is now would be missing from its count. While there is no newer
// connection a dead one still takes stanzas, for the one that will resume: they answer what was counted as
// handed over. s.mu is held.
func (c *transport) enqueue(p []byte) (int, error) {
	s, l := c.connection.st, c.connection
	if l.closed && string(p) == streamClose {
		return len(p), nil // what Serve says, behind Logout's
	}
	if s.connection != l || c.ended || l.closed || l.dead && s.sess.ID == "" {
		return 0, net.ErrClosed
	}
	for _, b := range p {
		between := c.out.depth == 1 && c.out.state == inText && b != '<'
		ev := c.out.step(b)
		if between { // a whitespace keepalive
			l.nonzaBytes = append(l.nonzaBytes, b)
			continue
		}
		c.part = append(c.part, b)
		switch ev {
		case closed:
			c.element()
		case streamEnd:
			// Session.Close, or Serve about to return: the server would drop the stream for good. Only
			// Logout may say so.
			c.ended = true
			return len(p), nil
		}
	}
	l.wake.Set()
	return len(p), nil
}

// element takes one whole element from mellium.
func (c *transport) element() {
	part := c.part
	c.part = nil
	switch {
	case isVoid(part) || string(c.out.name) == "stream:error":
		// nobody is to see it; a stream error would end what can be resumed
	case c.out.isStanza():
		c.connection.st.out.add(part, nil)
	default:
		c.connection.nonzaBytes = append(c.connection.nonzaBytes, part...)
	}
}

package sm

import "mellium.im/xmpp/stanza"

// mostScans is how often a stanza that comes in pieces is scanned. Then the decoder reads it.
const mostScans = 4

// FastPath reads the most frequent kind of stanza past mellium's decoder, which costs six times as much. It is called by the goroutine
// that reads.
type FastPath interface {
	// Scan looks at what comes next at the top of the stream, in the namespace jabber:client. If that is a whole stanza of its kind,
	// it returns how long it is; 0: the decoder is to read it; less: with more bytes it may be one.
	Scan(next []byte) int
	// Handle is the Handler of the stanza that was scanned last.
	Handle(m Handle)
}

// UseFastPath is called before Serve.
func (l *Link) UseFastPath(f FastPath) { l.fast = f }

// startFastPath lets it in, unless stanzas have another namespace here.
func (l *Link) startFastPath(space string) {
	if space == stanza.NSClient {
		l.transport.fast = l.fast
	}
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
	c.opened++
	c.entered = c.opened
	m, ok := c.link.enter(c.opened)
	c.finished = c.opened
	c.link.finish(c.finished)
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

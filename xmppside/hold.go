package xmppside

import (
	"context"
	"sync"
	"time"
)

const (
	holdWithin = 5 * time.Second // for the answer that shows that the store is empty
	holdBytes  = 8 << 20         // of bodies; beyond it order is given up rather than memory
	holdItem   = 512             // what a held message costs besides its body, about
)

// hold keeps live messages back after a fresh login while the server brings what it had stored for us, or its archive
// is asked for what came just before: ejabberd routes live mail to a session before it has looked into the store, and the
// older would come behind the newer. Without an archive it ends with the answer to a ping sent behind the presence.
type hold struct {
	mu    sync.Mutex // guards all below; held while release passes on, so that nothing overtakes
	on    bool
	items []item
	bytes int
}

func (h *hold) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = true
}

// keep takes a live message; false: nothing is held now.
func (h *hold) keep(it item) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.on || h.bytes > holdBytes {
		return false
	}
	h.items = append(h.items, it)
	h.bytes += len(it.in.Body) + holdItem
	return true
}

// release passes on what was held, in order. Whatever ends the hold calls it; the first call counts.
func (h *hold) release(push func(item)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = false
	for _, it := range h.items {
		push(it)
	}
	h.items, h.bytes = nil, 0
}

// unstore waits until the server has brought what it had stored, and lets live messages go on.
func (c *conn) unstore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, holdWithin)
	defer cancel()
	_, _ = c.ask(ctx, domainOf(c.s.addr.own), "get", "<ping xmlns='"+nsPing+"'/>") // any answer comes behind the store
	c.hold.release(c.s.inbox.push)
}

// admit offers a message, unless it has to wait for older ones.
func (c *conn) admit(it item, e *element) {
	if c.s.stored(e) {
		c.s.inbox.push(it)
		return
	}
	if c.hold.keep(it) {
		return
	}
	c.hold.release(c.s.inbox.push) // too much is held: what is held goes first
	c.s.inbox.push(it)
}

// stored tells whether our own server kept a message for us, and says so in its own name or in our account's (XEP-0203).
// A stamp without a name, or in another's, is the sender's own: he wrote it long ago, and it came now.
func (s *Side) stored(e *element) bool {
	for _, d := range e.all(nsDelay, "delay") {
		if by := d.get("from"); by == s.addr.own || by == domainOf(s.addr.own) {
			return true
		}
	}
	return false
}

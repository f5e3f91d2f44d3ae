package xmppside

import (
	"context"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/stanza"
)

const (
	holdWithin = 5 * time.Second // for the answer that shows that the store is empty
	holdBytes  = 8 << 20         // of bodies; beyond it order is given up rather than memory
	holdItem   = 512             // what a held message costs besides its body, about
)

// holdback keeps messages back after a fresh login while the server brings what it had stored for us, or its archive
// is asked for what came just before: ejabberd routes live messages to a session before it has looked into the store, and the
// older would come behind the newer. Without an archive it ends with the answer to a ping sent behind the presence.
//
// Live messages are held always. Stored ones are where some may be in the store alone and others in the archive alone, and
// until that is known: what an interrupted login had not acknowledged may come before we have said a word.
type holdback struct {
	mu       sync.Mutex // guards all below; held while release passes on, so that nothing overtakes
	on       bool
	stored   bool      // stored ones too
	since    time.Time // what was archived before was taken long ago, though it is in the store; zero: that has nothing so old
	complete bool      // the archive was read from the cursor to its end

	items  []heldMessage  // as they came
	next   int            // what is before is passed on, or waits for the archive or the end
	places map[string]int // of archived ones, by WireID
	bytes  int
}

type heldMessage struct {
	item
	gone bool // passed on
}

// begin holds live messages, and stored ones.
func (h *holdback) begin(stored bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on, h.stored, h.places = true, stored, map[string]int{}
}

// live holds live messages only, from here on.
func (h *holdback) live(push func(item)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.items {
		if it := &h.items[i]; !it.stored.IsZero() && !it.gone {
			push(h.out(it))
		}
	}
	h.stored = false
}

// old says up to when what was archived was taken long ago.
func (h *holdback) old(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since = since
}

// take keeps a message, or passes it on behind all that has to go first.
func (h *holdback) take(it item, push func(item)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.on:
		push(h.known(it, false))
	case !it.stored.IsZero() && !h.stored:
		push(it)
	case h.bytes > holdBytes: // what is held goes first
		h.pass(push)
		push(h.known(it, false))
	default:
		h.add(it)
	}
}

// add needs h.mu.
func (h *holdback) add(it item) {
	if it.archived != "" {
		h.places[it.in.WireID] = len(h.items)
	}
	h.items = append(h.items, heldMessage{item: it})
	h.bytes += it.weight()
}

func (it *item) weight() int { return len(it.in.Body) + holdItem }

// out takes an item out, so that it goes no second time. h.mu is held.
func (h *holdback) out(it *heldMessage) item {
	out := it.item
	h.bytes -= out.weight()
	*it = heldMessage{gone: true} // its body is not kept
	return out
}

// sort puts what was stored in the order in which it was, before what is live.
func (h *holdback) sort() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inOrder()
}

// release passes on what was held: what was stored goes first. Whatever ends the hold calls it; the first call counts.
func (h *holdback) release(push func(item)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pass(push)
}

// pass is release. h.mu is held.
func (h *holdback) pass(push func(item)) {
	h.on = false
	h.inOrder()
	for _, stored := range []bool{true, false} {
		for i := range h.items {
			if it := &h.items[i]; !it.gone && it.stored.IsZero() != stored {
				push(h.known(h.out(it), h.complete))
			}
		}
	}
	h.items, h.next, h.places = nil, 0, nil
}

// meet passes on what was stored before an archived message, and lets the held copy of that itself go: it is
// taken from the archive. byTime: the archive's beginning is behind where we were.
func (h *holdback) meet(r *mam.Result, byTime bool, push func(item)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stored {
		return
	}
	same, held := h.places[r.Hash]
	for ; h.next < len(h.items); h.next++ {
		it := &h.items[h.next]
		if held && h.next >= same || !held && !it.before(r) {
			break
		}
		if !it.gone && !it.stored.IsZero() && (it.archived == "" || byTime) { // else it may come yet
			push(h.known(h.out(it), false))
		}
	}
	if held && !h.items[same].gone {
		out := h.out(&h.items[same])
		out.m.Done()
	}
}

// before tells whether a message was stored before another was archived. Where both were in one second (Prosody's stamps), one that
// was not archived was: since then the policy has been changed.
func (it *heldMessage) before(r *mam.Result) bool {
	return it.stored.Before(r.At) || it.archived == "" && it.stored.Equal(r.At)
}

// archiveRead notes that the archive was read from the cursor to its end: what is archived, and was not met, is before that.
func (h *holdback) archiveRead() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.complete = true
}

// known makes nothing of a stored message that was taken from the archive long ago. A stored message never moves the
// cursor. h.mu is held.
func (h *holdback) known(it item, complete bool) item {
	if !h.stored || it.stored.IsZero() {
		return it
	}
	if it.archived != "" && !h.since.IsZero() && (complete || it.stored.Before(h.since)) {
		it.in = bridge.Inbound{Ignored: "stored_before"}
	}
	it.archived = ""
	return it
}

// releaseAfterStore waits until the server has brought what it had stored, and lets live messages go on.
func (c *connection) releaseAfterStore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, holdWithin)
	defer cancel()
	_, _ = c.Ask(ctx, stanza.Domain(c.s.addr.own), "get", "<ping xmlns='"+stanza.NSPing+"'/>") // any answer comes behind the store
	c.holdback.release(c.s.inbox.push)
}

// admit offers a message, unless it has to wait for older ones.
func (c *connection) holdOrOffer(it item, e *stanza.Element) {
	it.stored = c.s.stored(e)
	c.holdback.take(it, c.s.inbox.push)
}

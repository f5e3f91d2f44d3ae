package xmppside

import (
	"cmp"
	"context"
	"slices"
	"time"

	"chatrelay/internal/wait"
)

const (
	negative = "<presence><priority>-1</priority></presence>"
	quiet    = time.Second // without a message
)

// flushOffline makes the server bring what it had stored for us, once more, and once more after that. What reaches
// ejabberd 23.01 while we log in, or while a stream moves to its new connection, may be stored just behind its look
// into the store, and would lie there until the next login; it looks again when a priority is no longer negative
// (RFC 6121 §8.5.2). What comes between the two may meet the same fate, so it is done in one write, and only when
// nothing comes. What another client is given meanwhile is fetched from the archive. Seen (docs/decisions/0007); no issue is known.
// Test: TestCatchUp.
func (c *connection) flushOffline(ctx context.Context) {
	for _, d := range []time.Duration{2 * time.Second, 10 * time.Second} {
		for wait.Pause(ctx, d) && wait.Since(c.lastMessage.Load()) < quiet {
			d = quiet / 2
		}
		if ctx.Err() != nil {
			return
		}
		c.s.others.flushed()
		if c.Write([]byte(negative+available)) != nil {
			return
		}
		c.s.others.flushed() // the archive was perhaps asked before that
	}
}

// inOrder is sort. ejabberd 23.01 hands some of what an interrupted login had not acknowledged to the next one, and stores the rest once
// more: both say when they were stored first. Seen (docs/decisions/0007); no issue is known. Test: TestStoredInOrder. h.mu is held.
func (h *holdback) inOrder() {
	if !h.stored {
		return
	}
	h.items = slices.DeleteFunc(h.items, func(it heldMessage) bool { return it.gone })
	slices.SortStableFunc(h.items, func(a, b heldMessage) int {
		if a.stored.IsZero() || b.stored.IsZero() {
			return cmp.Compare(live(a), live(b))
		}
		return a.stored.Compare(b.stored)
	})
	h.next, h.places = 0, map[string]int{}
	for i, it := range h.items {
		if it.archived != "" {
			h.places[it.in.WireID] = i
		}
	}
}

func live(it heldMessage) int {
	if it.stored.IsZero() {
		return 1
	}
	return 0
}

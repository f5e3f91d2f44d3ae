package xmppside

import (
	"context"
	"strings"

	"chatrelay/internal/wait"
	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/stanza"
)

// readSize is what Prosody 0.12 reads at a time (network_default_read_size). It must not stand within a stanza when a
// connection breaks, as no resumption could heal that. It costs rate: other servers are spared it. Seen (docs/decisions/0006); no
// issue is known. Tests: TestSoftware, sm's TestReadSize.
const readSize = 4096

// readSizeFor is sm.Config.ReadSize for a server of that name. One that does not say it is taken for Prosody.
func readSizeFor(name string) int {
	if name == "" || strings.EqualFold(name, "prosody") {
		return readSize
	}
	return 0
}

// Prosody 0.12 keeps back what it had stored for us from a session that has asked the archive. So a login that could not resume is
// two where it has an archive: one reads that, and ends; the next one appears, takes the store, and reads what came since. Seen
// (docs/decisions/0016); no issue is known. Tests: TestArchivePolicy, TestMerge.

// holdStored says up to when what is in the offline store was taken long ago. A store that was taken once has nothing so old.
func (c *connection) holdStored() {
	s := c.s
	if at, _ := s.archive.Place.Position(); !s.archive.Emptied() {
		c.holdback.old(at.Since())
	}
}

// takeOn goes on taking the store after a resumption.
func (c *connection) takeOn(ctx context.Context) bool {
	c.holdStored()
	if !c.sendPresence() {
		return false
	}
	c.drained(ctx)
	c.holdback.sort()
	c.fillGap(ctx, &mam.Search{})
	return ctx.Err() == nil
}

// relogin ends a login, so that the next is made at once.
func (c *connection) relogin(ctx context.Context) {
	s := c.s
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	s.loop.relogin = true
	if s.archive.ReadAll() {
		c.holdback.release(s.inbox.push) // what comes before we are available is in the archive, too, or comes again
		if c.l.Leave(ctx) == nil {
			return
		}
	}
	c.l.Close() // what was held comes again
}

// drained waits until the server has brought what it had stored: its answer to a ping comes behind that. A long store
// is waited for as long as something comes.
func (c *connection) drained(ctx context.Context) {
	for ctx.Err() == nil {
		ask, cancel := context.WithTimeout(ctx, holdWithin)
		_, err := c.Ask(ask, stanza.Domain(c.s.addr.own), "get", "<ping xmlns='"+stanza.NSPing+"'/>")
		cancel()
		if err == nil || stanza.IsAnswer(err) || wait.Since(c.lastMessage.Load()) > holdWithin {
			return
		}
	}
}

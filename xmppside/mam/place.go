package mam

import (
	"encoding/json"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/stanza"
)

// Place is how far the archive was taken. It may be used from any goroutine.
type Place struct {
	journal   bridge.SideState
	contested func() bool

	mu         sync.Mutex    // guards all below
	has        bool          // at says something
	at         Cursor        // as far as the journal has it
	pending    pendingCursor // as far as it was read
	catchingUp bool          // there is a gap: live messages must not move the cursor over it
	tooLarge   string        // id of a message that cannot be read: all before it was handed on
}

// restore takes in what the journal remembers. filled: behind the login of its stream nothing was left to be taken.
func (p *Place) restore(row []byte, filled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.has = json.Unmarshal(row, &p.at) == nil
	p.pending.at = p.at
	p.catchingUp = !filled
}

// ID is the id up to which the archive was taken; empty: unknown.
func (p *Place) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.at.ID) > stanza.MostID {
		return ""
	}
	return p.at.ID
}

// Live is the cursor that goes with a live message that is offered now; nil: it must not move.
func (p *Place) Live(id, hash string) *Cursor {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.catchingUp || p.contested() {
		return nil
	}
	at := p.pending.add(id, hash, time.Now())
	return &at
}

// read is the cursor that goes with an archived message.
func (p *Place) read(r *Result) Cursor {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending.add(r.ID, r.Hash, r.At)
}

// Reached notes what the journal has.
func (p *Place) Reached(c Cursor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.has = c, true
}

// Position is the cursor; false: there is none yet.
func (p *Place) Position() (Cursor, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at, p.has
}

// GoBack makes the next cursors from where the journal stands, because something that was read could not be kept.
func (p *Place) GoBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tooLarge = ""
	if !p.catchingUp && !p.contested() { // a walk begins at the journal anyhow
		p.pending = pendingCursor{at: p.at}
	}
}

// catchUp notes that there is a gap, or that it is filled.
func (p *Place) catchUp(gap bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.catchingUp = gap
}

// Gapped tells whether what came meanwhile is still to be taken from the archive.
func (p *Place) Gapped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.catchingUp
}

// walk begins a walk from the cursor.
func (p *Place) walk() Cursor {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = walkFrom(p.at)
	return p.at
}

// walkDone ends it.
func (p *Place) walkDone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending.repeats = nil
	p.move(p.pending.at)
}

// anchor puts the cursor at the end of the archive.
func (p *Place) anchor(last string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := Cursor{ID: last, At: time.Now().UnixMilli()}
	p.pending = pendingCursor{at: at}
	p.move(at)
}

// next is the pending cursor's; free: it may be moved over what we send.
func (p *Place) next() (id string, free bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending.at.Next, !p.catchingUp && !p.contested()
}

// pass moves the cursor to next, where the pending cursor's Next has been for a while, and Next to last.
func (p *Place) pass(next, last string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending.at.Next == next {
		p.pending.at = p.pending.at.advance(last)
		p.move(p.at.advance(last))
	}
}

// move puts the cursor where the journal is known to be. p.mu is held.
func (p *Place) move(at Cursor) {
	p.at, p.has = at, true
	p.journal.SetState(bridge.XMPP, at.Row())
}

// cannotRead notes a message that is too large to be read.
func (p *Place) cannotRead(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tooLarge = id
}

// unreadable is such a message; empty: there is none.
func (p *Place) unreadable() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tooLarge
}

// stepOver moves the cursor behind such a message, if it is still known. All before it is in the journal.
func (p *Place) stepOver(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tooLarge != id {
		return false
	}
	p.tooLarge = ""
	at := Cursor{ID: id, At: p.at.At, Taken: p.at.hashes()}
	p.pending = pendingCursor{at: at}
	p.move(at)
	return true
}

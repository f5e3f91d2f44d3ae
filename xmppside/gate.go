package xmppside

import (
	"context"
	"sync"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

// gate lets Send through while there is a login on which messages may go out. It may be used from any goroutine.
type gate struct {
	changed wait.Broadcast // rings when anything that Send or Run waits for may have changed

	mu       sync.Mutex  // guards all below
	current  *connection // the newest login
	live     *connection // the same, while Send may use it
	stopping bool
	why      string // not up because
	limit    int    // bytes of a stanza
	software string // the server's, once it has said so
	shared   bool   // another connection gets a part of what comes (component)
	requeued int    // how often bound deliveries went back into the journal
}

// Up tells whether the account is logged in and messages go out, and in a few words why not.
func (g *gate) Up() (bool, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live != nil && g.shared {
		return false, sharedText
	}
	return g.live != nil, g.why
}

const sharedText = "the server gives a part of what comes to another connection of this component"

// setShared notes whether it does. Messages go out all the same.
func (g *gate) setShared(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shared = on
}

// isLive tells whether messages go out.
func (g *gate) isLive() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.live != nil
}

// setLive opens the gate for Send, or shuts it (nil).
func (g *gate) setLive(c *connection, why string) {
	g.mu.Lock()
	g.live, g.why = c, why
	g.mu.Unlock()
	g.changed.Wake()
}

func (g *gate) setWhy(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.why = why
}

// stop makes Send answer ErrDown from here on.
func (g *gate) stop() {
	g.mu.Lock()
	g.stopping, g.why = true, "stopped"
	g.mu.Unlock()
	g.changed.Wake()
}

// leaving tells whether stop was called.
func (g *gate) leaving() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopping
}

// requeues counts how often bound deliveries went back into the journal. A delivery that waits in Send must not overtake them.
func (g *gate) requeues(more int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requeued += more
	return g.requeued
}

// ready waits until there is a login that messages may go out on.
func (g *gate) ready(ctx context.Context) (*connection, int, error) {
	for {
		change := g.changed.Wait()
		g.mu.Lock()
		c, stopping, limit := g.live, g.stopping, g.limit
		g.mu.Unlock()
		switch {
		case stopping:
			return nil, 0, bridge.ErrDown
		case c != nil && c.l.Context().Err() == nil:
			return c, limit, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

func (g *gate) setSoftware(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.software = name
}

func (g *gate) knownSoftware() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.software
}

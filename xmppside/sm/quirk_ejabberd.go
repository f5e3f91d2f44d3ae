package sm

import (
	"slices"
	"time"
)

// ejabberd 23.01 lets several connections be one component, and deals out among them what comes; one that is dead gets its share, too,
// until ejabberd notices. It is so by design. Our own pings show it: they come back in order, so one that a later one has overtaken went
// to another connection. Test: TestTwoComponents.

const (
	sharedPings = 10 // at once, while that is so, or may be
	aloneAfter  = 20 // that came back, none missing between them: no other connection gets any
)

// shared tells whether another connection gets a part of what comes. It outlasts connections, and is guarded by Stream.mu.
type shared struct {
	on     bool
	warned bool // the owner knows that it is on
	inRow  int  // pings that came back since the last that did not
}

// heard takes that a ping came back, and whether others that were sent before did not.
func (h *shared) heard(missing bool) {
	switch h.inRow++; {
	case missing:
		h.on, h.inRow = true, 0
	case h.inRow >= aloneAfter:
		h.on = false
	}
}

// pingBack notes that ping n came back; it tells whether others that were sent before did not.
func (f *fence) pingBack(n uint64) (missing bool) {
	i := slices.Index(f.pings, n)
	f.pings = slices.Delete(f.pings, 0, i+1)
	return i > 0
}

// pingsAtOnce is how many are sent at once: several where one may be lost so, that not all are. s.mu is held.
func pingsAtOnce(l *Connection, tick time.Duration, now time.Time) int {
	s := l.st
	lost := s.shared.on && now.Sub(l.askedAt) >= tick || l.awaiting && now.Sub(l.askedAt) >= s.cfg.AskEvery
	if l.fence.component != "" && lost {
		return sharedPings
	}
	return 1
}

// pingDue tells whether a component is to ping now. It does so whatever it hears: that may be another one's pings. s.mu is held.
func pingDue(l *Connection, now time.Time) bool {
	s := l.st
	return l.fence.component != "" && (s.shared.on || now.Sub(l.askedAt) >= s.cfg.AskEvery)
}

// tellShared tells the owner of what has changed.
func tellShared(s *Stream) {
	s.mu.Lock()
	on, news := s.shared.on, s.shared.on != s.shared.warned
	s.shared.warned = on
	s.mu.Unlock()
	if news && s.cfg.Shared != nil {
		s.cfg.Shared(on)
	}
}

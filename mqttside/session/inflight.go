package session

import "time"

// InFlight is how many messages are: those that count against a window, and those beside it.
func (s *Session) InFlight() (inside, beside int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inside, s.beside
}

// Empty tells whether nothing is in flight.
func (s *Session) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID) == 0
}

// Released tells whether a message waits for its PUBCOMP only.
func (s *Session) Released() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.byID {
		if d.phase == released {
			return true
		}
	}
	return false
}

// Stuck tells whether the broker has acknowledged nothing for long, although it has something to.
func (s *Session) Stuck(now time.Time, limit time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID) > 0 && now.Sub(s.moved) > limit
}

// Oldest is the tag of the oldest message in flight, if the broker may have got it and has not acknowledged it in any
// way.
func (s *Session) Oldest() (tag any, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.ordered()
	if len(all) == 0 || !all[0].written || all[0].phase != published {
		return nil, false
	}
	return all[0].Tag, true
}

// Remove takes out what Oldest has given, between connections; false: it is not there any more.
func (s *Session) Remove(tag any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.byID {
		if d.Tag == tag && s.conn == nil {
			s.remove(d)
			return true
		}
	}
	return false
}

package session

import "time"

// InFlight is how many messages are: those that count against a window, and those beside it.
func (s *Session) InFlight() (inside, beside int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inside, s.beside
}

// Count is how many messages in flight are such.
func (s *Session) Count(such func(Message) bool) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.byID {
		if such(d.Message) {
			n++
		}
	}
	return n
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

// Stalled tells whether the broker has acknowledged nothing for long, although it has something to.
func (s *Session) Stalled(now time.Time, limit time.Duration) bool {
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

// Withdraw takes out, between connections, what is such and was not acknowledged in any way.
func (s *Session) Withdraw(such func(Message) bool) (out []Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.ordered() {
		if s.conn == nil && d.phase == published && such(d.Message) {
			s.remove(d)
			out = append(out, d.Message)
		}
	}
	return out
}

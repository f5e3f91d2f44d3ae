package sm

import "time"

const (
	tooLong   = 2 * time.Second // from Send to the acknowledgement
	leastPace = 20
)

// pace is how many stanzas with a tag may be unacknowledged now: about what the server gets through in a moment. All else that is
// said on the stream waits behind them, questions included, and those are given up after a while: behind a full window a slow
// server would answer none.
type pace struct {
	now, most int
	top       uint64 // what was taken up to here tells nothing of the pace that holds now
}

// Window is how many stanzas with a tag may be unacknowledged now.
func (s *Stream) Window() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.single {
		return 1
	}
	return s.pace.now
}

// acked is told that so many were acknowledged, the last of them as number n when it had been under way for took. top was taken
// last.
func (p *pace) acked(done int, n uint64, took time.Duration, top uint64) {
	switch {
	case done == 0:
	case took >= tooLong && n > p.top:
		p.now, p.top = max(p.now/2, min(leastPace, p.most)), top
	case took < tooLong/2:
		p.now = min(p.now+done, p.most)
	}
}

// confirmed is acked for what the server has said on a connection that carried it.
func (s *Stream) confirmed(done []Stanza) {
	s.pace.acked(len(done), s.out.acked, s.cfg.Clock.Now().Sub(s.out.since), s.out.top)
	s.acked(done)
}

// repace is called when the stream goes on over another connection: the time between is not the server's.
func (s *Stream) repace() {
	now := s.cfg.Clock.Now()
	s.pace.top = 0 // there are new numbers
	for _, it := range s.out.queue {
		it.since = now
	}
}

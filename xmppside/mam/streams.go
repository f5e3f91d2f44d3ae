package mam

import (
	"sync"

	"chatrelay/bridge"
)

// Streams are the XEP-0198 streams of which it is known how far their login got. Each is also in the journal. They may be used from any
// goroutine.
type Streams struct {
	journal bridge.SideState

	mu     sync.Mutex // guards all below
	ready  string     // the stream whose login was gone through with
	filled string     // the stream behind whose login the gap was filled
	taking string     // the stream on which the store is taken, when not all of it is archived
}

func (s *Streams) restore(state map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.filled, s.taking = string(state[keyReadyFor]), string(state[keyFilledFor]), string(state[keyTaking])
}

// MarkReady notes that a stream's login was gone through with.
func (s *Streams) MarkReady(stream string) { s.note(&s.ready, keyReadyFor, stream) }

// IsReady tells whether it was.
func (s *Streams) IsReady(stream string) bool { return s.is(&s.ready, stream) }

// MarkTaking notes that the store is being taken on a stream, and that some is in it alone.
func (s *Streams) MarkTaking(stream string) { s.note(&s.taking, keyTaking, stream) }

// isTaking tells whether it was being taken on a stream.
func (s *Streams) isTaking(stream string) bool { return s.is(&s.taking, stream) }

func (s *Streams) markFilled(stream string) { s.note(&s.filled, keyFilledFor, stream) }

func (s *Streams) isFilled(stream string) bool { return s.is(&s.filled, stream) }

// note keeps the name of a stream.
func (s *Streams) note(what *string, key, stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *what != stream {
		*what = stream
		s.journal.SetState(bridge.XMPP, bridge.StateRow{Key: key, Value: []byte(stream)})
	}
}

func (s *Streams) is(what *string, stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *what == stream
}

package journal

import (
	"context"
	"sync"

	"chatrelay/internal/journal/sqlite"
)

// Log keeps the frames of a journal: with them it could be made again. One goroutine appends, cuts and vacuums; any may
// read.
type Log interface {
	// Append writes frame n, one more than the last. nil: it is durable. sqlite.ErrFull: it is not, and may be tried again.
	// After any other error the process must end.
	Append(n uint64, frame []byte) error
	// Read reads all frames from one on, in order. A frame is only good during the call.
	Read(from uint64, each func(n uint64, frame []byte) error) error
	// Piece reads a part of a frame. sqlite.ErrCut: it has gone.
	Piece(ctx context.Context, n uint64, off, size int) ([]byte, error)
	// Cut lets the frames below one go, with those that are appended later, or in an idle moment. The newest one stays.
	Cut(below uint64)
	// Probe finds out whether there is room for so many bytes. sqlite.ErrFull: not now.
	Probe(bytes int) error
	// Room is how many bytes it fills.
	Room() (int64, error)
	// Vacuum is for an idle moment: it gives back the space of what was cut.
	Vacuum() error
	Close() error
}

// memoryLog is a log for as long as the process lives: nothing is ever read of it again but bodies.
type memoryLog struct {
	mu     sync.Mutex // guards all below
	first  uint64     // number of the first of frames
	frames [][]byte
}

// newMemoryLog begins behind frame 0.
func newMemoryLog() *memoryLog { return &memoryLog{first: 1} }

func (l *memoryLog) Append(_ uint64, frame []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frames = append(l.frames, append([]byte{}, frame...))
	return nil
}

func (l *memoryLog) Read(uint64, func(uint64, []byte) error) error { return nil }

func (l *memoryLog) Piece(_ context.Context, n uint64, off, size int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < l.first {
		return nil, sqlite.ErrCut
	}
	return l.frames[n-l.first][off : off+size], nil
}

func (l *memoryLog) Cut(below uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := min(below, l.first+uint64(len(l.frames))); n > l.first {
		l.frames, l.first = append([][]byte{}, l.frames[n-l.first:]...), n
	}
}

func (l *memoryLog) Probe(int) error      { return nil }
func (l *memoryLog) Room() (int64, error) { return 0, nil }
func (l *memoryLog) Vacuum() error        { return nil }
func (l *memoryLog) Close() error         { return nil }

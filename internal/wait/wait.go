// Package wait has what goroutines wait with: Broadcast, Signal, Backoff and Pause, each once in the repository. It
// knows nothing of what is waited for, and imports nothing of ours.
package wait

import (
	"context"
	"sync"
	"time"
)

// Broadcast wakes all that wait for something to change. Ask for Wait before looking at what may change. The zero
// value is ready; all methods may be called at once.
type Broadcast struct {
	mu sync.Mutex // guards ch
	ch chan struct{}
}

// Wait gives a channel that is closed by the next Wake.
func (b *Broadcast) Wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

// Wake wakes all that wait now.
func (b *Broadcast) Wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// Signal wakes one goroutine, which then looks at what there is to do. Signals that come before it looks are one.
type Signal chan struct{}

// NewSignal makes a signal that is not set.
func NewSignal() Signal { return make(Signal, 1) }

// Set sets the signal. It never blocks.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default: // it is set
	}
}

// Pause waits; false: ctx ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

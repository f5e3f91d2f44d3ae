package app

import (
	"maps"
	"sync"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
)

// losses counts connections that have ended while they were in use, from the start of the process.
type losses struct {
	mu sync.Mutex // guards n
	n  map[admin.Loss]int64
}

// of counts for one side.
func (l *losses) of(side bridge.SideID) func(reason string) {
	return func(reason string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.n == nil {
			l.n = map[admin.Loss]int64{}
		}
		l.n[admin.Loss{Side: side, Reason: reason}]++
	}
}

func (l *losses) all() map[admin.Loss]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.n)
}

package session

import (
	"context"
	"sync"
	"time"

	"chatrelay/internal/wait"
)

// pings count what was asked and what was answered: a broker answers in order.
type pings struct {
	mu          sync.Mutex // guards asked, came, moved
	asked, came uint64
	moved       time.Time // when the first that is open was asked, or the one before it answered
	changed     wait.Broadcast
}

// ask counts a PINGREQ that is about to go out; its number.
func (p *pings) ask() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == p.came {
		p.moved = time.Now()
	}
	p.asked++
	return p.asked
}

// answer counts a PINGRESP; its number.
func (p *pings) answer() uint64 {
	p.mu.Lock()
	p.came++
	came := p.came
	p.moved = time.Now()
	p.mu.Unlock()
	p.changed.Wake()
	return came
}

// open tells whether one has been unanswered for so long.
func (p *pings) open(now time.Time, limit time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.came < p.asked && now.Sub(p.moved) >= limit
}

// await waits until a ping is answered; false: gone, which ends with the connection, came first. An error is ctx's.
func (p *pings) await(ctx context.Context, n uint64, gone <-chan struct{}) (bool, error) {
	for {
		change := p.changed.Wait()
		p.mu.Lock()
		came := p.came
		p.mu.Unlock()
		if came >= n {
			return true, nil
		}
		select {
		case <-change:
		case <-gone:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

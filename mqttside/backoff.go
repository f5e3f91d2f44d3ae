package mqttside

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstDelay = 50 * time.Millisecond
	shortCap   = 500 * time.Millisecond // while an outage is young: back within 3 s of the broker
	longCap    = 15 * time.Second       // after longOutage
	longOutage = 5 * time.Minute
	loginDelay = 3 * time.Second // after a refused login: no lock-out storm
)

// backoff says how long to wait before the next attempt.
type backoff struct {
	tries int
	since time.Time // of the first failure in a row
}

// next is the delay before the next attempt; least is its floor.
func (b *backoff) next(now time.Time, least time.Duration) time.Duration {
	if b.tries == 0 {
		b.since = now
	}
	limit := shortCap
	if now.Sub(b.since) > longOutage || least > shortCap {
		limit = longCap
	}
	d := limit
	if b.tries < 20 {
		d = min(limit, max(firstDelay, least)<<b.tries)
	}
	b.tries++
	return jitter(d)
}

func (b *backoff) reset() { b.tries = 0 }

// jitter takes away up to half, so that many relays do not come back at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// pause waits; false: ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

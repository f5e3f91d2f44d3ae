package wait

import (
	"math/rand/v2"
	"time"
)

const (
	firstDelay = 50 * time.Millisecond
	shortCap   = 500 * time.Millisecond // while an outage is young: back within 3 s of the server
	longCap    = 15 * time.Second       // after longOutage
	longOutage = 5 * time.Minute
)

// Backoff says how long to wait before the next attempt. The zero value is ready; one goroutine uses it.
type Backoff struct {
	tries int
	since time.Time // of the first failure in a row
}

// Next is the delay before the next attempt to connect: short while the outage is young, 15 s at most. least is its
// floor, before chance takes away up to half.
func (b *Backoff) Next(now time.Time, least time.Duration) time.Duration {
	if b.tries == 0 {
		b.since = now
	}
	most := shortCap
	if now.Sub(b.since) > longOutage || least > shortCap {
		most = longCap
	}
	return Jitter(b.Grow(max(firstDelay, least), most))
}

// Grow doubles from first up to most.
func (b *Backoff) Grow(first, most time.Duration) time.Duration {
	b.tries++
	return Delay(b.tries, first, most)
}

// Reset: all is well again.
func (b *Backoff) Reset() { b.tries = 0 }

// Ease lets no more than so many failures count.
func (b *Backoff) Ease(most int) { b.tries = min(b.tries, most) }

// Delay is how long to wait after the nth failure in a row: first, then doubled up to most.
func Delay(n int, first, most time.Duration) time.Duration {
	if n > 20 {
		return most
	}
	return min(most, first<<max(n-1, 0))
}

// Jitter takes away up to half, so that many do not come back at once.
func Jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

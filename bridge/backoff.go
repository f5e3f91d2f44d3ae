package bridge

import (
	"time"

	"chatrelay/internal/wait"
)

const (
	backoffFirst = 250 * time.Millisecond
	backoffMost  = time.Minute
	// A delivery that a working wire keeps turning away is given up when it has waited for so long between so many
	// attempts. A side that is down counts for nothing: it may be down for days, and makes no attempts.
	giveUpAfter = 24 * time.Hour
	giveUpTries = int(giveUpAfter / backoffMost)
)

// backoff is how long a delivery waits before attempt n+1: doubling, at most a minute, less up to half by chance
// so that many lanes do not come back at once.
func backoff(n int) time.Duration {
	return wait.Jitter(wait.Delay(n+1, backoffFirst, backoffMost))
}

package wait

import "time"

const throttleEvery = time.Minute

// Throttle is for a line of the log that many causes ask for: it is written when they begin, and then once a minute with how many
// there were. The zero Throttle is ready. Its owner guards it.
type Throttle struct {
	Total  int64
	silent int64 // of those: not in the log yet
	said   time.Time
}

// Add counts one; it tells how many are to be named in the log now, 0: none.
func (t *Throttle) Add(now time.Time) (due int64) {
	t.Total++
	t.silent++
	if !t.said.IsZero() && now.Sub(t.said) < throttleEvery {
		return 0
	}
	due = t.silent
	t.said, t.silent = now, 0
	return due
}

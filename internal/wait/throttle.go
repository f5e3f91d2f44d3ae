package wait

import "time"

const throttleEvery = time.Minute

// Throttle is for a line of the log that many causes ask for: it is written when they begin, and then once a minute with how many
// there were. The zero Throttle is ready. Its owner guards it.
type Throttle struct {
	Total  int64
	silent int64 // of those: not in the log yet
	logged time.Time
}

// Add counts one; it tells how many are to be named in the log now, 0: none.
func (t *Throttle) Add(now time.Time) (due int64) {
	t.Total++
	t.silent++
	if !t.logged.IsZero() && now.Sub(t.logged) < throttleEvery {
		return 0
	}
	due = t.silent
	t.logged, t.silent = now, 0
	return due
}

// throttleCauses is how many a Throttles keeps. Should there be more after all, it forgets them.
const throttleCauses = 500

// Throttles has a Throttle for each cause, by a word for it. The zero value is ready. Its owner guards it.
type Throttles struct{ by map[string]*Throttle }

// Add counts one of a cause; it tells how many of that are to be named in the log now, 0: none.
func (t *Throttles) Add(cause string, now time.Time) (due int64) {
	one := t.by[cause]
	if one == nil {
		if t.by == nil || len(t.by) >= throttleCauses {
			t.by = map[string]*Throttle{}
		}
		one = &Throttle{}
		t.by[cause] = one
	}
	return one.Add(now)
}

package wait

import (
	"fmt"
	"testing"
	"time"
)

// What is throttled is in the log when it begins, and then once a minute with how many it is.
func TestThrottle(t *testing.T) {
	var u Throttle
	now := time.Now()
	for i, c := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {time.Second, 0}, {time.Second, 0}, {throttleEvery, 3}, {time.Second, 0}, {throttleEvery, 2}} {
		now = now.Add(c.after)
		if got := u.Add(now); got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
	if u.Total != 6 {
		t.Errorf("%d in all", u.Total)
	}
}

// Each cause is throttled on its own, and their number is bounded.
func TestThrottles(t *testing.T) {
	var u Throttles
	now := time.Now()
	for i, c := range []struct {
		cause string
		want  int64
	}{{"a", 1}, {"a", 0}, {"b", 1}, {"b", 0}} {
		if got := u.Add(c.cause, now); got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
	if got := u.Add("a", now.Add(throttleEvery)); got != 2 {
		t.Errorf("%d, want 2", got)
	}
	for n := range 3 * throttleCauses {
		u.Add(fmt.Sprint(n), now)
	}
	if len(u.by) > throttleCauses {
		t.Errorf("%d causes are kept, want at most %d", len(u.by), throttleCauses)
	}
}

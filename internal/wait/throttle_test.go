package wait

import (
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

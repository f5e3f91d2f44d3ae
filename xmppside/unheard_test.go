package xmppside

import (
	"testing"
	"time"
)

// What nobody hears of is in the log when it begins, and then once a minute with how many it is.
func TestUnheard(t *testing.T) {
	var u unheard
	now := time.Now()
	for i, c := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {time.Second, 0}, {time.Second, 0}, {sayUnheard, 3}, {time.Second, 0}, {sayUnheard, 2}} {
		now = now.Add(c.after)
		if got := u.add(now); got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
	if u.total != 6 {
		t.Errorf("%d in all", u.total)
	}
}

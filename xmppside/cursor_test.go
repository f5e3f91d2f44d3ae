package xmppside

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTrail(t *testing.T) {
	mark := func(n int) string { return wireID(fmt.Sprint(n), nil) }
	now := time.UnixMilli(12345)
	var at cursor
	check := func(from string, first, last int) {
		t.Helper()
		want := map[string]bool{}
		for n := first; n <= last; n++ {
			want[mark(n)[:markBytes]] = true
		}
		if at.ID != from || at.At != 12345 || !cmp.Equal(at.marks(), want) {
			t.Errorf("stands at %q with %d marks, want %q and those of %d to %d", at.ID, len(at.marks()), from, first, last)
		}
	}
	trail := trailFrom(cursor{ID: "begin"})
	for n := range overlap {
		at = trail.add(fmt.Sprint(n), mark(n), now)
	}
	check("begin", 0, overlap-1)
	at = trail.add("x", mark(overlap), now)
	check("0", 1, overlap)
	trail = trailFrom(at) // interrupted
	for n := overlap + 1; n <= 2*overlap; n++ {
		at = trail.add(fmt.Sprint(n), mark(n), now)
	}
	check("0", 1, 2*overlap)
	for n := 2*overlap + 1; n < 9*overlap; n++ {
		at = trail.add(fmt.Sprint(n), mark(n), now)
	}
	check(fmt.Sprint(8*overlap-1), 8*overlap, 9*overlap-1)
	if text := at.row().Value; len(text) > 600 {
		t.Errorf("%d bytes go into the book with each message", len(text))
	}
}

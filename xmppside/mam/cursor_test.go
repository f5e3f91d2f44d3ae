package mam

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// placed is the nth message of an archive.
func placed(n int) (id, hash string) {
	id = fmt.Sprint(n)
	return id, WireID(id, nil)
}

// wantCursor checks where a cursor stands, and what it says of the messages behind.
func wantCursor(t *testing.T, at Cursor, id string, taken ...int) {
	t.Helper()
	var want, got []string
	for _, n := range taken {
		_, hash := placed(n)
		want = append(want, fmt.Sprintf("%x", hash[:hashBytes]))
	}
	for m := range slices.Chunk(at.hashes(), hashBytes) {
		got = append(got, fmt.Sprintf("%x", m))
	}
	if diff := cmp.Diff(want, got); diff != "" || at.ID != id {
		t.Errorf("stands at %q, want %q; marks %s", at.ID, id, diff)
	}
}

func span(first, last int) (out []int) {
	for n := first; n <= last; n++ {
		out = append(out, n)
	}
	return out
}

func TestPendingCursor(t *testing.T) {
	now := time.UnixMilli(12345)
	pending := pendingCursor{at: Cursor{ID: "begin"}}
	n := 0
	until := func(last int) (at Cursor) {
		for n < last {
			n++
			id, hash := placed(n)
			at = pending.add(id, hash, now)
		}
		return at
	}
	wantCursor(t, until(Overlap), "begin", span(1, Overlap)...)
	wantCursor(t, until(2*Overlap-1), "begin", span(1, 2*Overlap-1)...)
	wantCursor(t, until(2*Overlap), fmt.Sprint(Overlap), span(Overlap+1, 2*Overlap)...)
	at := until(9*Overlap + 3)
	wantCursor(t, at, fmt.Sprint(8*Overlap), span(8*Overlap+1, 9*Overlap+3)...)
	if at.At != 12345 {
		t.Errorf("at %d", at.At)
	}
	at = until(10*Overlap - 1)
	if text := at.Row().Value; len(text) > 640 {
		t.Errorf("%d bytes go into the journal with each message", len(text))
	}
	pending.at = at.advance("own") // passes what was sent
	wantCursor(t, until(10*Overlap), fmt.Sprint(9*Overlap), span(9*Overlap+1, 10*Overlap)...)
	pending.at = pending.at.advance("own too")
	wantCursor(t, until(10*Overlap+1), "own", 10*Overlap, 10*Overlap+1)
}

// However often a walk is interrupted, each message behind the cursor is in it once.
func TestPendingCursorOfWalks(t *testing.T) {
	at := Cursor{}
	for n := range 2*Overlap - 1 {
		id, hash := placed(n)
		at = at.add(id, hash, time.Now())
	}
	for range 5 {
		walk := walkFrom(at)
		for n := range Overlap / 2 {
			id, hash := placed(n)
			at = walk.add(id, hash, time.Now())
		}
		if got := len(at.hashes()) / hashBytes; at.ID != "" || got != 2*Overlap-1 {
			t.Fatalf("stands at %q with %d marks", at.ID, got)
		}
	}
	walk := walkFrom(at)
	for n := range 2*Overlap - 1 {
		id, hash := placed(n)
		at = walk.add(id, hash, time.Now())
	}
	wantCursor(t, at, "", span(0, 2*Overlap-2)...)
	if len(walk.repeats) != 0 {
		t.Error("all were met again")
	}
}

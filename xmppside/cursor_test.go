package xmppside

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatrelay/bridge"
)

// placed is the nth message of an archive.
func placed(n int) (id, mark string) {
	id = fmt.Sprint(n)
	return id, wireID(id, nil)
}

// wantCursor checks where a cursor stands, and what it says of the messages behind.
func wantCursor(t *testing.T, at cursor, id string, taken ...int) {
	t.Helper()
	var want, got []string
	for _, n := range taken {
		_, mark := placed(n)
		want = append(want, fmt.Sprintf("%x", mark[:hashBytes]))
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

func TestTrail(t *testing.T) {
	now := time.UnixMilli(12345)
	trail := pendingCursor{at: cursor{ID: "begin"}}
	n := 0
	until := func(last int) (at cursor) {
		for n < last {
			n++
			id, mark := placed(n)
			at = trail.add(id, mark, now)
		}
		return at
	}
	wantCursor(t, until(overlap), "begin", span(1, overlap)...)
	wantCursor(t, until(2*overlap-1), "begin", span(1, 2*overlap-1)...)
	wantCursor(t, until(2*overlap), fmt.Sprint(overlap), span(overlap+1, 2*overlap)...)
	at := until(9*overlap + 3)
	wantCursor(t, at, fmt.Sprint(8*overlap), span(8*overlap+1, 9*overlap+3)...)
	if at.At != 12345 {
		t.Errorf("at %d", at.At)
	}
	at = until(10*overlap - 1)
	if text := at.row().Value; len(text) > 640 {
		t.Errorf("%d bytes go into the journal with each message", len(text))
	}
	trail.at = at.turn("own") // passes what was sent
	wantCursor(t, until(10*overlap), fmt.Sprint(9*overlap), span(9*overlap+1, 10*overlap)...)
	trail.at = trail.at.turn("own too")
	wantCursor(t, until(10*overlap+1), "own", 10*overlap, 10*overlap+1)
}

// However often a walk is interrupted, each message behind the cursor is in it once.
func TestTrailOfWalks(t *testing.T) {
	at := cursor{}
	for n := range 2*overlap - 1 {
		id, mark := placed(n)
		at = at.add(id, mark, time.Now())
	}
	for range 5 {
		walk := walkFrom(at)
		for n := range overlap / 2 {
			id, mark := placed(n)
			at = walk.add(id, mark, time.Now())
		}
		if got := len(at.hashes()) / hashBytes; at.ID != "" || got != 2*overlap-1 {
			t.Fatalf("stands at %q with %d marks", at.ID, got)
		}
	}
	walk := walkFrom(at)
	for n := range 2*overlap - 1 {
		id, mark := placed(n)
		at = walk.add(id, mark, time.Now())
	}
	wantCursor(t, at, "", span(0, 2*overlap-2)...)
	if len(walk.again) != 0 {
		t.Error("all were met again")
	}
}

// waiting is an inlet that keeps what it is offered.
type waiting struct {
	bridge.Inlet
	offers []bridge.Inbound
}

func (w *waiting) Offer(_ context.Context, in bridge.Inbound) error {
	w.offers = append(w.offers, in)
	return nil
}

// What could not be kept is behind no later cursor.
func TestCursorGoesBack(t *testing.T) {
	s := unit(t)
	in := &waiting{}
	offer := func(n int) {
		id, mark := placed(n)
		it := item{c: &login{}, archived: id}
		it.in.WireID = mark
		s.inbox.offer(t.Context(), in, it)
	}
	s.archive.reached(cursor{ID: "begin"})
	s.archive.goBack()
	for n := range overlap + 3 {
		offer(n)
	}
	in.offers[0].Ack(nil)
	for _, o := range in.offers[1:] {
		o.Ack(errors.New("disk full"))
	}
	offer(1)
	in.offers[len(in.offers)-1].Ack(nil)
	at, _ := s.archive.position()
	wantCursor(t, at, "begin", 0, 1)
}

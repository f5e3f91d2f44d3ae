package xmppside

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"chatrelay/bridge"
	"chatrelay/xmppside/mam"
)

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
		id := fmt.Sprint(n)
		it := item{c: &connection{}, archived: id}
		it.in.WireID = mam.WireID(id, nil)
		s.inbox.offer(t.Context(), in, it)
	}
	s.archive.Place.Reached(mam.Cursor{ID: "begin"})
	s.archive.Place.GoBack()
	for n := range mam.Overlap + 3 {
		offer(n)
	}
	in.offers[0].Ack(nil)
	for _, o := range in.offers[1:] {
		o.Ack(errors.New("disk full"))
	}
	offer(1)
	in.offers[len(in.offers)-1].Ack(nil)
	at, _ := s.archive.Place.Position()
	want := mam.WireID("0", nil)[:6] + mam.WireID("1", nil)[:6]
	if got := string(at.Taken) + string(at.More); at.ID != "begin" || got != want {
		t.Errorf("stands at %q with %x, want begin with %x", at.ID, got, want)
	}
}

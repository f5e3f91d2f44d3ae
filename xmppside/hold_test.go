package xmppside

import (
	"fmt"
	"slices"
	"testing"

	"chatrelay/bridge"
)

// heldItem is a message by number and size.
func heldItem(n int, size int) item {
	return item{in: bridge.Inbound{WireID: fmt.Sprint(n), Body: make([]byte, size)}}
}

func TestHold(t *testing.T) {
	var h hold
	var out []string
	push := func(it item) { out = append(out, it.in.WireID) }
	if h.keep(heldItem(1, 1)) {
		t.Error("held before it began")
	}
	h.begin()
	for n := 2; n < 5; n++ {
		if !h.keep(heldItem(n, 10)) {
			t.Fatalf("%d was not held", n)
		}
	}
	h.release(push)
	if want := []string{"2", "3", "4"}; !slices.Equal(out, want) {
		t.Errorf("got %v, want %v", out, want)
	}
	if h.keep(heldItem(5, 1)) {
		t.Error("held after the end")
	}
	h.release(push)
	if len(out) != 3 {
		t.Errorf("passed on twice: %v", out)
	}
}

func TestHoldIsBounded(t *testing.T) {
	var h hold
	h.begin()
	n := 0
	for h.keep(heldItem(n, 1<<20)) {
		if n++; n > 100 {
			t.Fatal("no bound")
		}
	}
	if n < 8 {
		t.Errorf("gave up after %d MiB", n)
	}
}

func TestStored(t *testing.T) {
	s := unit(t)
	for from, want := range map[string]bool{
		"":                          false, // the sender's own
		"chat.test":                 true,
		"receiver@chat.test":        true,
		"receiver@chat.test/x":      false,
		"team@conference.chat.test": false,
		"1001@chat.test":            false,
	} {
		e := parse(t, fmt.Sprintf("<message xmlns='jabber:client' from='1001@chat.test/a'><body>x</body><delay xmlns='urn:xmpp:delay' from='%s' stamp='2026-01-01T00:00:00Z'/></message>", from))
		if got := s.stored(e); got != want {
			t.Errorf("delay from %q: %v, want %v", from, got, want)
		}
	}
	if s.stored(parse(t, "<message xmlns='jabber:client'><body>x</body></message>")) {
		t.Error("a live message counts as stored")
	}
}

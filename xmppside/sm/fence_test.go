package sm

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"
)

// A component knows another relay's ping from its own of before, and who was first.
func TestRival(t *testing.T) {
	now := time.Now()
	f := newFence("relay.test", "me", now)
	read := func(raw string) *xml.StartElement {
		t.Helper()
		tok, err := xml.NewDecoder(strings.NewReader(raw)).Token()
		if err != nil {
			t.Fatal(err)
		}
		start := tok.(xml.StartElement)
		return &start
	}
	ping := func(component, self string, at time.Time) *xml.StartElement {
		o := newFence(component, self, at)
		return read(string(o.ping(7)))
	}
	for name, c := range map[string]struct {
		ping         *xml.StartElement
		other, first bool
	}{
		"another's, first":     {ping("relay.test", "other", now.Add(-time.Second)), true, true},
		"another's, later":     {ping("relay.test", "other", now.Add(time.Second)), true, false},
		"our own of before":    {ping("relay.test", "me", now.Add(-time.Second)), true, false},
		"of another component": {ping("evil.test", "other", now.Add(-time.Second)), false, false},
		"any ping":             {read("<iq type='get' from='relay.test' id='1'/>"), false, false},
		"an answer":            {read("<iq type='result' from='relay.test' id='sm-1-a-b-7'/>"), false, false},
	} {
		if other, first := f.rival(c.ping); other != c.other || first != c.first {
			t.Errorf("%s: %v, %v", name, other, first)
		}
	}
	if n := f.number(read(string(f.ping(7))), "relay.test"); n != 7 {
		t.Errorf("our own is number %d", n)
	}
	client := newFence("", "", now)
	if other, _ := client.rival(ping("relay.test", "other", now)); other || client.space() == f.space() {
		t.Error("a client has a rival, or the component's namespace")
	}
}

// A ping that a later one has overtaken went to another connection; that is over when enough came back without a gap.
func TestShared(t *testing.T) {
	f := newFence("relay.test", "me", time.Now())
	var h shared
	n := uint64(0)
	ping := func(lost int) {
		for range lost + 1 {
			n++
			f.pings = append(f.pings, n)
		}
		h.heard(f.pingBack(n))
	}
	ping(0)
	if h.on {
		t.Error("on, though nothing is missing")
	}
	if ping(2); !h.on {
		t.Error("two are missing")
	}
	for i := range 2 * aloneAfter {
		if i == aloneAfter-2 {
			ping(1)
		} else {
			ping(0)
		}
		if over := i > 2*aloneAfter-3; h.on == over {
			t.Fatalf("after %d: %v", i, h.on)
		}
	}
	if f.pingBack(n) || len(f.pings) > 0 {
		t.Error("one that is not known says something")
	}
}

package xmppside

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/xmppside/mam"
)

// heldItem is a message by number and size.
func heldItem(n int, size int) item {
	return item{in: bridge.Inbound{WireID: fmt.Sprint(n), Body: make([]byte, size)}}
}

// keeps tells whether a message has to wait.
func (h *holdback) keeps(it item) bool {
	kept := true
	h.take(it, func(item) { kept = false })
	return kept
}

func TestHoldback(t *testing.T) {
	var h holdback
	var out []string
	push := func(it item) { out = append(out, it.in.WireID) }
	if h.keeps(heldItem(1, 1)) {
		t.Error("held before it began")
	}
	h.begin(false)
	for n := 2; n < 5; n++ {
		if !h.keeps(heldItem(n, 10)) {
			t.Fatalf("%d was not held", n)
		}
	}
	h.release(push)
	if want := []string{"2", "3", "4"}; !slices.Equal(out, want) {
		t.Errorf("got %v, want %v", out, want)
	}
	if h.keeps(heldItem(5, 1)) {
		t.Error("held after the end")
	}
	h.release(push)
	if len(out) != 3 {
		t.Errorf("passed on twice: %v", out)
	}
}

func TestHoldbackIsBounded(t *testing.T) {
	var h holdback
	h.begin(false)
	n := 0
	for h.keeps(heldItem(n, 1<<20)) {
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
		if got := !s.stored(e).IsZero(); got != want {
			t.Errorf("delay from %q: %v, want %v", from, got, want)
		}
	}
	if !s.stored(parse(t, "<message xmlns='jabber:client'><body>x</body></message>")).IsZero() {
		t.Error("a live message counts as stored")
	}
}

// heldAs is a stored message (second of a minute; 0: live) with its id in the archive; empty: none.
func heldAs(body string, second int, archived string) item {
	it := item{archived: archived, in: bridge.Inbound{Body: []byte(body)}}
	if second > 0 {
		it.stored = time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC)
	}
	if archived != "" {
		it.in.WireID = mam.WireID(archived, nil)
	}
	return it
}

func TestMerge(t *testing.T) {
	read := func(second int, id string) mam.Result {
		return mam.Result{ID: id, At: time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC), Hash: mam.WireID(id, nil)}
	}
	since := time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		held    []item
		archive []mam.Result
		byTime  bool
		cut     bool // the archive was not read to its end
		want    string
	}{
		"nothing is archived": {
			held: []item{heldAs("a", 10, ""), heldAs("b", 11, ""), heldAs("live", 0, "l")},
			want: "a b live",
		},
		"all is, and live ones too": {
			held:    []item{heldAs("live", 0, "3"), heldAs("a", 10, "1"), heldAs("b", 10, "2"), heldAs("later", 0, "4")},
			archive: []mam.Result{read(10, "1"), read(10, "2"), read(11, "3")},
			want:    "#1 #2 #3 later",
		},
		"archived from somewhere on": {
			held:    []item{heldAs("a", 10, ""), heldAs("b", 10, ""), heldAs("c", 10, "1")},
			archive: []mam.Result{read(10, "1")},
			want:    "a b #1",
		},
		"archived up to somewhere": {
			held:    []item{heldAs("a", 10, "1"), heldAs("b", 10, "")},
			archive: []mam.Result{read(10, "1")},
			want:    "#1 b",
		},
		"another client took some": {
			held:    []item{heldAs("a", 10, "1"), heldAs("d", 12, "4"), heldAs("e", 13, "")},
			archive: []mam.Result{read(10, "1"), read(11, "2"), read(11, "3"), read(12, "4"), read(14, "5")},
			want:    "#1 #2 #3 #4 e #5",
		},
		"taken long before": {
			held:    []item{heldAs("a", 3, "1"), heldAs("b", 9, "2"), heldAs("c", 10, ""), heldAs("d", 11, "3")},
			archive: []mam.Result{read(11, "3")},
			want:    "c #3 -",
		},
		"dropped by the archive": {
			held:    []item{heldAs("old", 3, "0"), heldAs("a", 9, "1"), heldAs("b", 10, "2"), heldAs("c", 10, "3")},
			archive: []mam.Result{read(10, "3"), read(11, "4")},
			byTime:  true,
			want:    "- a b #3 #4",
		},
		"all of it dropped": {
			held:    []item{heldAs("a", 9, "1"), heldAs("b", 10, "2")},
			archive: []mam.Result{read(11, "4")},
			byTime:  true,
			want:    "a b #4",
		},
		"the archive breaks off": {
			held:    []item{heldAs("old", 3, "0"), heldAs("a", 9, "1"), heldAs("b", 10, "2"), heldAs("live", 0, "3")},
			archive: []mam.Result{read(9, "1")},
			cut:     true,
			want:    "#1 - b live",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var h holdback
			var out []string
			push := func(it item) {
				switch {
				case it.in.Ignored == "stored_before":
					if n := len(out); n == 0 || out[n-1] != "-" {
						out = append(out, "-")
					}
				case !it.stored.IsZero() && it.archived != "":
					t.Errorf("%s would move the cursor", it.in.Body)
				default:
					out = append(out, string(it.in.Body))
				}
			}
			h.begin(true)
			h.old(since)
			for _, it := range c.held {
				if !h.keeps(it) {
					t.Fatal("not held")
				}
			}
			for _, r := range c.archive {
				h.meet(&r, c.byTime, push)
				out = append(out, "#"+r.ID)
			}
			if !c.byTime && !c.cut {
				h.archiveRead()
			}
			h.release(push)
			if got := strings.Join(out, " "); got != c.want || h.bytes != 0 || len(h.items) != 0 {
				t.Errorf("got %s, want %s; %d bytes held", got, c.want, h.bytes)
			}
		})
	}
}

// Once it is known that the archive has all, stored messages go on; live ones wait.
func TestHoldbackLive(t *testing.T) {
	var h holdback
	var out []string
	push := func(it item) { out = append(out, string(it.in.Body)) }
	h.begin(true)
	for _, it := range []item{heldAs("live", 0, "3"), heldAs("a", 10, "1"), heldAs("b", 10, "")} {
		if !h.keeps(it) {
			t.Fatal("not held")
		}
	}
	h.live(push)
	if h.keeps(heldAs("c", 11, "")) {
		t.Error("a stored one waits")
	}
	if want := []string{"a", "b"}; !slices.Equal(out, want) {
		t.Errorf("got %v, want %v", out, want)
	}
	if h.release(push); len(out) != 3 || h.bytes != 0 {
		t.Errorf("got %v; %d bytes held", out, h.bytes)
	}
}

// A stored message that comes while stored ones are let go is behind those, and before the next.
func TestHoldbackLiveInOrder(t *testing.T) {
	const rounds, each = 200, 60
	for range rounds {
		var h holdback
		var mu sync.Mutex
		var out []int
		push := func(it item) {
			mu.Lock()
			defer mu.Unlock()
			out = append(out, len(it.in.Body))
		}
		h.begin(true)
		var wg sync.WaitGroup
		begun := make(chan struct{})
		wg.Go(func() {
			for n := range each {
				if n == 5 {
					close(begun)
				}
				it := heldItem(n, n)
				it.stored = time.Unix(1, 0)
				h.take(it, push)
			}
		})
		wg.Go(func() { <-begun; h.live(push) })
		wg.Wait()
		h.release(push)
		if len(out) != each || !slices.IsSorted(out) {
			t.Fatalf("went as %v", out)
		}
	}
}

// What an interrupted login had not acknowledged comes in rows of its own. In one second, what was not archived was first.
func TestStoredInOrder(t *testing.T) {
	var h holdback
	var out []string
	h.begin(true)
	for _, it := range []item{heldAs("live", 0, ""), heldAs("c", 12, "3"), heldAs("d", 12, ""), heldAs("f", 14, "6"),
		heldAs("a", 10, "1"), heldAs("later", 0, "7"), heldAs("b", 11, ""), heldAs("e", 13, "5"), heldAs("g", 15, "")} {
		h.add(it)
	}
	h.sort()
	push := func(it item) { out = append(out, string(it.in.Body)) }
	for _, r := range []mam.Result{{ID: "1"}, {ID: "3"}, {ID: "5"}, {ID: "6"}, {ID: "new", At: time.Date(2026, 1, 1, 0, 0, 15, 0, time.UTC)}} {
		r.Hash = mam.WireID(r.ID, nil)
		h.meet(&r, false, push)
		out = append(out, "#"+r.ID)
	}
	h.release(push)
	if got, want := strings.Join(out, " "), "#1 b #3 d #5 #6 g #new live later"; got != want || h.bytes != 0 {
		t.Errorf("got %s, want %s; %d bytes held", got, want, h.bytes)
	}
}

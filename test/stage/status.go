package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Status is what /statusz says of the messages, both origins together.
type Status struct {
	Counts  map[string]int64 // received, delivered, duplicate, ignored, refused, dead, pending, …
	Reasons map[string]int64 // of refused and dead, as "refused bad_to"
	Sides   map[string]SideBalance
}

// SideBalance is one side's share of Status: of messages that came from it.
type SideBalance struct {
	Counts  map[string]int64 `json:"counts"`
	Offered int64            `json:"offered"` // offers in this life, counted apart from the journal
	Open    int64            `json:"open"`    // deliveries to it that are not settled
}

func (s Status) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(s.Counts)) {
		fmt.Fprintf(&b, "%s %d ", k, s.Counts[k])
	}
	for _, k := range slices.Sorted(maps.Keys(s.Reasons)) {
		fmt.Fprintf(&b, "[%s %d] ", k, s.Reasons[k])
	}
	return strings.TrimSpace(b.String())
}

// Sum is what received must be (DESIGN 5.4).
func (s Status) Sum() int64 {
	n := int64(0)
	for _, k := range []string{"delivered", "duplicate", "ignored", "refused", "dead", "pending"} {
		n += s.Counts[k]
	}
	return n
}

// TurnedDown is what was refused offered or buried later.
func (s Status) TurnedDown() int64 { return s.Counts["refused"] + s.Counts["dead"] }

// Get asks its status page for a path.
func (r *Relay) Get(ctx context.Context, path string) (code int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.http+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// Status reads /statusz.
func (r *Relay) Status() Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), WaitLimit)
	defer cancel()
	code, body, err := r.Get(ctx, "/statusz")
	if err != nil || code != http.StatusOK {
		r.t.Fatalf("/statusz: %d %s %v", code, body, err)
	}
	s, err := DecodeStatus([]byte(body))
	if err != nil {
		r.t.Fatalf("/statusz: %v in %s", err, body)
	}
	return s
}

// Until polls /statusz until ok.
func (r *Relay) Until(what string, ok func(Status) bool) Status {
	r.t.Helper()
	late := time.Now().Add(WaitLimit)
	for {
		s := r.Status()
		if ok(s) {
			return s
		}
		if time.Now().After(late) {
			r.t.Errorf("/statusz never had %s: %s", what, s)
			return s
		}
		select {
		case <-r.t.Context().Done():
			return s
		case <-time.After(5 * time.Millisecond): // a poll's pause
		}
	}
}

// Balanced waits until nothing is pending and wants the journals to be right.
func (r *Relay) Balanced() Status {
	r.t.Helper()
	return r.Until("a balance with nothing pending", func(s Status) bool { return s.Counts["pending"] == 0 && s.Counts["received"] == s.Sum() })
}

// WantCount wants a count to grow by n.
func (r *Relay) WantCount(before Status, name string, n int64) {
	r.t.Helper()
	r.Until(fmt.Sprintf("%s %d", name, before.Counts[name]+n), func(s Status) bool { return s.Counts[name] >= before.Counts[name]+n })
}

// WantRefused wants exactly one message more to be turned down, under a reason.
func (r *Relay) WantRefused(t *testing.T, before Status) {
	t.Helper()
	after := r.Until("one more refused", func(s Status) bool { return s.TurnedDown() > before.TurnedDown() })
	grown := []string{}
	for why, n := range after.Reasons {
		if n > before.Reasons[why] {
			grown = append(grown, why)
		}
	}
	if after.TurnedDown() != before.TurnedDown()+1 || len(grown) != 1 || strings.HasSuffix(grown[0], " ") {
		t.Errorf("turned down %d more, under %q; want one, under one reason", after.TurnedDown()-before.TurnedDown(), grown)
	}
	t.Logf("counted as %q", grown)
}

// Unready polls /readyz until it says no.
func (r *Relay) Unready(ctx context.Context) error {
	for {
		code, _, err := r.Get(ctx, "/readyz")
		if err != nil {
			return err
		}
		if code != http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond): // a poll's pause
		}
	}
}

// WaitLimit is how long what should be soon may take.
const WaitLimit = 10 * time.Second

// DecodeStatus reads the page's counts.
func DecodeStatus(page []byte) (Status, error) {
	s := Status{Counts: map[string]int64{}, Reasons: map[string]int64{}}
	var p struct {
		Counts  map[string]int64       `json:"counts"`
		Reasons map[string]int64       `json:"reasons"`
		Sides   map[string]SideBalance `json:"sides"`
	}
	err := json.Unmarshal(page, &p)
	s.Counts, s.Reasons, s.Sides = p.Counts, p.Reasons, p.Sides
	return s, err
}

// WantRooms waits until the status page shows so many rooms.
func (r *Relay) WantRooms(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), WaitLimit)
	defer cancel()
	last := "nothing"
	for ctx.Err() == nil {
		var page struct {
			Rooms map[string]any `json:"rooms"`
		}
		code, body, err := r.Get(ctx, "/statusz")
		if err == nil && code == http.StatusOK && json.Unmarshal([]byte(body), &page) == nil && len(page.Rooms) == n {
			return
		}
		last = fmt.Sprint(code, " ", body, " ", err)
		time.Sleep(10 * time.Millisecond) // a poll's pause
	}
	t.Errorf("there are not %d rooms: %s", n, last)
}

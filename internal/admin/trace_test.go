package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"chatrelay/internal/trace"
)

// TestTracePage: what is asked for is handed on, mistakes are named, and without the token nothing is shown.
func TestTracePage(t *testing.T) {
	w := newWorld()
	var asked trace.Query
	var failing error
	cfg := w.config()
	cfg.Trace = func(_ context.Context, q trace.Query) ([]*trace.Message, error) {
		asked = q
		if q.Text == "nobody" {
			return nil, failing
		}
		return []*trace.Message{{Number: 7, State: trace.StateDelivered, Stations: []trace.Station{}}}, failing
	}
	h, err := (&Server{cfg: cfg}).handler()
	if err != nil {
		t.Fatal(err)
	}
	if code, text := get(t, h, "/trace?q=1001&since=2h&limit=3"); code != http.StatusOK || !strings.Contains(text, `"message":7`) && !strings.Contains(text, `"message": 7`) {
		t.Errorf("%d %s", code, text)
	}
	if want := (trace.Query{Text: "1001", Since: w.now.Add(-2 * time.Hour), Limit: 3}); asked != want {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
	if code, _ := get(t, h, "/trace?q=1001&since=2026-11-30T14:05&until=2026-11-30T15:00:00%2B01:00"); code != http.StatusBadRequest { // 14:00 UTC
		t.Errorf("until before since: %d", code)
	}
	if code, _ := get(t, h, "/trace?q=1001&since=2001-09-08&until=1h"); code != http.StatusOK || !asked.Until.Equal(w.now.Add(-time.Hour)) {
		t.Errorf("%d, until %v", code, asked.Until)
	}
	if code, text := get(t, h, "/trace?q=nobody"); code != http.StatusOK || strings.Contains(text, "null") {
		t.Errorf("nothing found: %d %s", code, text)
	}
	for _, bad := range []string{"", "?q=", "?q=1&limit=0", "?q=1&limit=x", "?q=1&since=-1h", "?q=1&since=x", "?q=1&until=soon", "?q=1&since=1h&until=2h"} {
		if code, _ := get(t, h, "/trace"+bad); code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, code)
		}
	}
	failing = errors.New("the journal is away")
	if code, text := get(t, h, "/trace?q=1"); code != http.StatusServiceUnavailable || !strings.Contains(text, "away") {
		t.Errorf("failing: %d %s", code, text)
	}
	w.token = "secret"
	if code, _ := get(t, w.page(t, true), "/trace?q=1"); code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", code)
	}
}

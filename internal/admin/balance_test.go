package admin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"chatrelay/bridge"
)

// busy is an account in which every word occurs.
func busy() bridge.Totals {
	return bridge.Totals{
		Counts: map[bridge.Counter]int64{
			{Name: "received", Side: bridge.MQTT}: 12, {Name: "received", Side: bridge.XMPP}: 30,
			{Name: "delivered", Side: bridge.MQTT}: 5, {Name: "delivered", Side: bridge.XMPP}: 20,
			{Name: "duplicate", Side: bridge.MQTT}:                               1,
			{Name: "ignored", Side: bridge.XMPP, Reason: "receipt"}:              2,
			{Name: "refused", Side: bridge.MQTT, Reason: "bad_to"}:               3,
			{Name: "refused", Side: bridge.XMPP, Reason: "bad_to"}:               1,
			{Name: "refused", Side: bridge.XMPP, Reason: "from_mismatch"}:        4,
			{Name: "dead", Side: bridge.MQTT, Reason: "Some text of a server's"}: 1,
			{Name: "dead", Side: bridge.MQTT, Reason: "<another>"}:               1,
			{Name: "bounced", Side: bridge.XMPP, Reason: "item_not_found"}:       2,
			{Name: bridge.MaybeDuplicate, Side: bridge.XMPP}:                     7,
			{Name: "evicted", Side: bridge.XMPP}:                                 6,
		},
		Pending: map[bridge.SideID]int64{bridge.MQTT: 1, bridge.XMPP: 3},
		Open:    map[bridge.SideID]int64{bridge.MQTT: 4, bridge.XMPP: 2},
		Oldest:  5 * time.Second, Keys: 17, Bytes: 4096, Limit: 1 << 30, Deliveries: 9, MaxDeliveries: 100,
	}
}

func TestStatus(t *testing.T) {
	w := newWorld()
	w.account, w.xmpp.why = busy(), "logging in"
	w.rooms = append(w.rooms, bridge.RoomState{Room: "b@rooms.example.org", Why: "no such room"})
	code, body := get(t, w.page(t, true), "/statusz")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	type counts = map[string]any
	want := map[string]any{
		"version": "v1", "started": "2026-01-02T03:02:35Z", "uptime_seconds": 90.0,
		"ready":   map[string]any{"ok": false, "reasons": []any{"xmpp: logging in"}},
		"counts":  counts{"received": 42.0, "delivered": 25.0, "duplicate": 1.0, "ignored": 2.0, "refused": 8.0, "dead": 2.0, "pending": 4.0, "bounced": 2.0, "maybe_duplicate": 7.0, "evicted": 6.0},
		"reasons": counts{"refused bad_to": 4.0, "refused from_mismatch": 4.0, "ignored receipt": 2.0, "dead Some text of a server's": 1.0, "dead <another>": 1.0, "bounced item_not_found": 2.0},
		"balance": 0.0,
		"sides": map[string]any{
			"mqtt": map[string]any{"up": true, "offered": 12.0, "open": 4.0, "in_flight": 3.0, "window": 100.0, "connections_lost": 0.0, "balance": 0.0,
				"counts":  counts{"received": 12.0, "delivered": 5.0, "duplicate": 1.0, "ignored": 0.0, "refused": 3.0, "dead": 2.0, "pending": 1.0},
				"reasons": counts{"refused bad_to": 3.0, "dead Some text of a server's": 1.0, "dead <another>": 1.0}},
			"xmpp": map[string]any{"up": false, "reason": "logging in", "offered": 30.0, "open": 2.0, "in_flight": 6.0, "window": 200.0, "connections_lost": 0.0, "certificate_days": 0.0, "balance": 0.0,
				"counts":  counts{"received": 30.0, "delivered": 20.0, "duplicate": 0.0, "ignored": 2.0, "refused": 5.0, "dead": 0.0, "pending": 3.0, "bounced": 2.0, "maybe_duplicate": 7.0, "evicted": 6.0},
				"reasons": counts{"refused bad_to": 1.0, "refused from_mismatch": 4.0, "ignored receipt": 2.0, "bounced item_not_found": 2.0}},
		},
		"rooms": map[string]any{"team@rooms.example.org": map[string]any{"up": true}, "b@rooms.example.org": map[string]any{"up": false, "reason": "no such room"}},
		"store": map[string]any{"bytes": 4096.0, "limit": float64(1 << 30), "full": false, "keys": 17.0, "oldest_pending_seconds": 5.0, "pending": 9.0, "pending_limit": 100.0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestBalance: each of its words counts, and what is no outcome does not.
func TestBalance(t *testing.T) {
	for name, tt := range map[string]struct {
		count   bridge.Counter
		pending int64
		want    int64
	}{
		"received":  {count: bridge.Counter{Name: "received"}, want: 1},
		"delivered": {count: bridge.Counter{Name: "delivered"}, want: -1},
		"duplicate": {count: bridge.Counter{Name: "duplicate"}, want: -1},
		"ignored":   {count: bridge.Counter{Name: "ignored", Reason: "x"}, want: -1},
		"refused":   {count: bridge.Counter{Name: "refused", Reason: "x"}, want: -1},
		"dead":      {count: bridge.Counter{Name: "dead", Reason: "x"}, want: -1},
		"bounced":   {count: bridge.Counter{Name: "bounced", Reason: "x"}, want: 0},
		"maybe":     {count: bridge.Counter{Name: bridge.MaybeDuplicate}, want: 0},
		"pending":   {pending: 1, want: -1},
	} {
		tt.count.Side = bridge.MQTT
		a := bridge.Totals{Counts: map[bridge.Counter]int64{tt.count: 1 - tt.pending}, Pending: map[bridge.SideID]int64{bridge.MQTT: tt.pending}}
		if got := balanceOf(a, bridge.MQTT).Difference; got != tt.want {
			t.Errorf("%s: balance %d, want %d", name, got, tt.want)
		}
		if got := balanceOf(a, bridge.XMPP).Difference; got != 0 {
			t.Errorf("%s: the other side's balance is %d", name, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld()
	w.account, w.xmpp.why = busy(), "logging in"
	w.rooms = append(w.rooms, bridge.RoomState{Room: "b@rooms.example.org", Why: "no such room", Unheard: 3})
	w.timings.Observe(DeliverySeconds, bridge.XMPP, 0.3)
	w.timings.Observe(DeliverySeconds, bridge.XMPP, 40)
	code, body := get(t, w.page(t, false), "/metrics")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	for _, want := range []string{
		`chatrelay_received_total{side="mqtt"} 12`, `chatrelay_received_total{side="xmpp"} 30`, `chatrelay_delivered_total{side="xmpp"} 20`,
		`chatrelay_duplicate_total{side="xmpp"} 0`, `chatrelay_ignored_total{reason="receipt",side="xmpp"} 2`,
		`chatrelay_refused_total{reason="bad_to",side="mqtt"} 3`, `chatrelay_refused_total{reason="from_mismatch",side="xmpp"} 4`,
		`chatrelay_dead_total{reason="other",side="mqtt"} 2`, // two foreign words are one label value, added up
		`chatrelay_bounced_total{reason="item_not_found",side="xmpp"} 2`, `chatrelay_maybe_duplicate_total{side="xmpp"} 7`,
		`chatrelay_maybe_duplicate_total{side="mqtt"} 0`, `chatrelay_events_total{name="evicted",side="xmpp"} 6`,
		`chatrelay_offered_total{side="mqtt"} 12`, `chatrelay_pending{side="xmpp"} 3`, `chatrelay_open_deliveries{side="mqtt"} 4`,
		`chatrelay_oldest_pending_seconds 5`, `chatrelay_side_up{side="mqtt"} 1`, `chatrelay_side_up{side="xmpp"} 0`, `chatrelay_ready 0`,
		`chatrelay_room_up{room="team@rooms.example.org"} 1`, `chatrelay_room_up{room="b@rooms.example.org"} 0`,
		`chatrelay_room_refused_total{room="b@rooms.example.org"} 3`,
		`chatrelay_delivery_seconds_bucket{direction="mqtt_to_xmpp",le="0.25"} 0`, `chatrelay_delivery_seconds_bucket{direction="mqtt_to_xmpp",le="0.5"} 1`,
		`chatrelay_delivery_seconds_count{direction="mqtt_to_xmpp"} 2`, `chatrelay_commit_seconds_count{direction="xmpp_to_mqtt"} 0`, `chatrelay_queue_seconds_count{direction="xmpp_to_mqtt"} 0`,
		`chatrelay_window{side="mqtt"} 100`, `chatrelay_in_flight{side="mqtt"} 3`, `chatrelay_in_flight{side="xmpp"} 6`,
		`chatrelay_certificate_expiry_timestamp_seconds{certificate="xmpp_server"} 1.767326645e+09`,
		`chatrelay_known_keys 17`, `chatrelay_store_bytes 4096`, `chatrelay_store_limit_bytes 1.073741824e+09`, `chatrelay_store_full 0`,
		`chatrelay_store_pending 9`, `chatrelay_store_pending_limit 100`,
		`chatrelay_store_write_error 0`, `chatrelay_build_info{go="go1.`, `version="v1"} 1`, "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(body, "\n"+want) && !strings.Contains(body, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, m := range table() {
		if strings.Count(body, "# HELP chatrelay_"+m.name+" "+m.help+"\n") != 1 {
			t.Errorf("%s is not on the page", m.name)
		}
	}
	for _, h := range histograms() {
		if strings.Count(body, "# HELP chatrelay_"+h.name+" "+h.help+"\n") != 1 {
			t.Errorf("%s is not on the page", h.name)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

// TestMetricNames: what Prometheus's own linter finds odd is odd.
func TestMetricNames(t *testing.T) {
	w := newWorld()
	w.account = busy()
	problems, err := testutil.CollectAndLint(newCollector(&Server{cfg: w.config(), started: w.now}))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestWord(t *testing.T) {
	for text, want := range map[string]string{
		"bad_to": "bad_to", "x5": "x5", "": "other", "Bad": "other", "a b": "other", "ä": "other", strings.Repeat("x", 49): "other", strings.Repeat("x", 48): strings.Repeat("x", 48),
	} {
		if got := word(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

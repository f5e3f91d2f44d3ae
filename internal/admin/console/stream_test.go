package console

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
)

// open opens a stream of events at a real server whose timeouts are shorter than the stream lives.
func (k *kit) open(server *httptest.Server, cookie *http.Cookie) (*http.Response, func() (event, data string)) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, server.URL+"/console/api/events", http.NoBody)
	if err != nil {
		k.t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: cookieName(&http.Request{Host: r.URL.Host}), Value: cookie.Value})
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return res, func() (event, data string) {
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				event = value
			case "data":
				return event, value
			}
		}
		return "", ""
	}
}

func (k *kit) serve() *httptest.Server {
	s := httptest.NewUnstartedServer(k.c)
	s.Config.ReadTimeout, s.Config.WriteTimeout = time.Second, time.Second
	s.Start()
	k.t.Cleanup(s.Close)
	return s
}

// TestEvents: first what was, then what is, also when the server's timeouts are over; and the end with the session.
func TestEvents(t *testing.T) {
	k := newKit(t)
	k.status = admin.Status{Version: "v9"}
	last := k.c.look(nil)
	fmt.Fprintln(&k.tail, `{"level":"warn","message":"look"}`)
	cookie, server := k.login(readerToken), k.serve()
	res, next := k.open(server, cookie)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %q", res.StatusCode, res.Header)
	}
	for _, want := range []struct{ event, holds string }{{"history", `[{"at":1767323045000`}, {"state", `"version":"v9"`}, {"log", `"lines":[{"level":"warn","message":"look"}]`}} {
		if event, data := next(); event != want.event || !strings.Contains(data, want.holds) {
			t.Fatalf("%s %s, want %v", event, data, want)
		}
	}
	time.Sleep(1300 * time.Millisecond) // beyond both timeouts
	k.c.look(last)
	if event, _ := next(); event != "state" {
		t.Fatalf("%q, want the next state", event)
	}
	fmt.Fprintln(&k.tail, `{"message":"later"}`)
	if event, data := next(); event != "log" || !strings.Contains(data, "later") || strings.Contains(data, "look") {
		t.Fatalf("%s %s, want the next line of the log", event, data)
	}
	k.c.sessions.end(cookie.Value)
	if event, _ := next(); event != "end" {
		t.Fatalf("%q, want the end", event)
	}
	if event, _ := next(); event != "" {
		t.Errorf("%q behind the end", event)
	}
}

// TestStreamsAreFew: of a session, and of all. One that has gone makes room.
func TestStreamsAreFew(t *testing.T) {
	k := newKit(t)
	k.c.look(nil)
	cookie, server := k.login(readerToken), k.serve()
	for range mostOfSession {
		if res, _ := k.open(server, cookie); res.StatusCode != 200 {
			t.Fatalf("%d", res.StatusCode)
		}
	}
	if res, _ := k.open(server, cookie); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Fatalf("one too many: %d", res.StatusCode)
	}
	if got := readAnswer(t, k.as(cookie, "api/session", "")); got["full"] != true {
		t.Errorf("the page is told %v", got)
	}
	close(k.c.ended) // the relay stops
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		k.c.streams.mu.Lock()
		all := k.c.streams.byRole[Reader]
		k.c.streams.mu.Unlock()
		if all == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are still counted", all)
		}
	}
	var s streams
	for i := range mostOfReaders {
		if !s.take(fmt.Sprint("reader", i%2), Reader) {
			t.Fatalf("reader %d", i)
		}
	}
	if s.take("another reader", Reader) {
		t.Error("readers take all")
	}
	for i := range mostStreams - mostOfReaders {
		if !s.take(fmt.Sprint("operator", i%2), Operator) {
			t.Fatalf("operator %d", i)
		}
	}
	if s.take("another operator", Operator) {
		t.Error("more streams than there may be")
	}
	s.giveBack("reader1", Reader)
	if !s.take("another operator", Operator) {
		t.Error("one has gone, and there is no room")
	}
}

// TestPoints: rates are made of sums; a clock that is set back makes none.
func TestPoints(t *testing.T) {
	k := newKit(t)
	var last *counts
	count := func(received, delivered int64, after time.Duration) {
		k.now = k.now.Add(after)
		var s admin.Status
		text := fmt.Sprintf(`{"sides":{"mqtt":{"open":3,"counts":{"received":%d,"delivered":%d}},"xmpp":{"counts":{}}}}`, received, delivered)
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		k.status = s
		last = k.c.look(last)
	}
	count(100, 90, 0)
	count(110, 94, 2*time.Second)
	count(110, 94, 2*time.Second)
	count(200, 100, -time.Hour)
	for i, want := range []point{{}, {Received: [2]float64{5}, Delivered: [2]float64{2}}, {}, {}} {
		got := k.c.history[i]
		if got.Received != want.Received || got.Delivered != want.Delivered || got.Open != [2]int64{3} {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
	for range historyLen + 5 {
		count(1, 1, time.Second)
	}
	if len(k.c.history) != historyLen || k.c.history[historyLen-1].At != k.now.UnixMilli() {
		t.Errorf("%d points", len(k.c.history))
	}
}

// TestTook: what came in the last minute, and nothing older.
func TestTook(t *testing.T) {
	k := newKit(t)
	timings := admin.NewTimings()
	look := func(n int, seconds float64) *float64 {
		for range n {
			timings.Observe(admin.DeliverySeconds, bridge.XMPP, seconds)
		}
		var err error
		if k.took, err = timings.Buckets(admin.DeliverySeconds); err != nil {
			t.Fatal(err)
		}
		k.c.look(nil)
		if got := k.c.history[len(k.c.history)-1].Took[0]; got != nil {
			t.Errorf("to MQTT: %v", *got)
		}
		return k.c.history[len(k.c.history)-1].Took[1]
	}
	if got := look(7, 3); got != nil {
		t.Errorf("before the first reading: %v", *got)
	}
	if got := look(100, 0.02); got == nil || *got < 0.01 || *got > 0.025 {
		t.Errorf("a hundredth of a second and more: %v", got)
	}
	if got := look(100, 1e9); got == nil || *got != 86400 {
		t.Errorf("beyond all buckets: %v", got)
	}
	for range minute {
		look(0, 0)
	}
	if got := look(0, 0); got != nil {
		t.Errorf("of the minute before: %v", *got)
	}
}

// TestTail: the end of the log, of a bounded size, of lines that are JSON.
func TestTail(t *testing.T) {
	var tail Tail
	for i := range 3 * tailLines {
		fmt.Fprintf(&tail, "{\"n\":%d}\n", i+1)
	}
	got := tail.since(0)
	if len(got.Lines) != tailLines || got.Last != 3*tailLines || got.Skipped != 2*tailLines || string(got.Lines[0]) != `{"n":1001}` {
		t.Errorf("%d lines, last %d, skipped %d, first %s", len(got.Lines), got.Last, got.Skipped, got.Lines[0])
	}
	if got := tail.since(3*tailLines - 2); len(got.Lines) != 2 || got.Skipped != 0 || string(got.Lines[1]) != `{"n":1500}` {
		t.Errorf("the last two: %+v", got)
	}
	if got := tail.since(3 * tailLines); len(got.Lines) != 0 || got.Last != 3*tailLines {
		t.Errorf("nothing new: %+v", got)
	}
	for _, line := range []string{"no JSON <b>", `{"message":"` + strings.Repeat("x", longestLine) + `"}`, "\xff", ""} {
		if n, err := tail.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		got := tail.since(tail.last - 1).Lines[0]
		var is struct{ Message string }
		if err := json.Unmarshal(got, &is); err != nil || len(got) > longestLine {
			t.Errorf("%.80q became %.80q: %v", line, got, err)
		}
	}
	for range 200 {
		fmt.Fprintf(&tail, "{\"message\":%q}\n", strings.Repeat("x", 3000))
	}
	if tail.bytes > tailBytes || len(tail.lines) != tailBytes/3014 {
		t.Errorf("%d bytes in %d lines", tail.bytes, len(tail.lines))
	}
}

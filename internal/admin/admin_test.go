package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"chatrelay/bridge"
)

// world is what the pages look at; a test sets it before it asks.
type world struct {
	account     bridge.Totals
	alive       error
	mqtt        fakeSide
	xmpp        fakeSide
	deadLetters []DeadLetter
	done        []string // changes that were asked for
	deadErr     error
	token       string
	tokenErr    error
	now         time.Time
	rooms       []bridge.RoomState
	log         bytes.Buffer
	timings     *Timings
}

type fakeSide struct {
	id  bridge.SideID
	why string // empty: up
}

func (s *fakeSide) ID() bridge.SideID  { return s.id }
func (s *fakeSide) Up() (bool, string) { return s.why == "", s.why }

func (w *world) Rooms() []bridge.RoomState { return w.rooms }
func (w *world) Totals() bridge.Totals     { return w.account }
func (w *world) Offered(side bridge.SideID) int64 {
	return map[bridge.SideID]int64{bridge.MQTT: 12, bridge.XMPP: 30}[side]
}
func (w *world) DeadLetters(_ context.Context, limit int) ([]DeadLetter, error) {
	return w.deadLetters[:min(limit, len(w.deadLetters))], w.deadErr
}
func (w *world) Requeue(_ context.Context, ref bridge.Ref) error { return w.change("requeue", ref) }
func (w *world) Drop(_ context.Context, ref bridge.Ref) error    { return w.change("drop", ref) }

func (w *world) RequeueSome(_ context.Context, p Selection) (Batch, error) {
	return w.some("requeue", p)
}
func (w *world) DropSome(_ context.Context, p Selection) (Batch, error) { return w.some("drop", p) }

func (w *world) some(what string, p Selection) (Batch, error) {
	w.done = append(w.done, what+" "+p.Query())
	return Batch{Changed: 7, Next: 300}, w.deadErr
}
func (w *world) change(what string, ref bridge.Ref) error {
	if w.deadErr == nil {
		w.done = append(w.done, what+" "+ref.String())
	}
	return w.deadErr
}

func newWorld() *world {
	return &world{
		timings: NewTimings(),
		rooms:   []bridge.RoomState{{Room: "team@rooms.example.org", Up: true}},
		now:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), mqtt: fakeSide{id: bridge.MQTT}, xmpp: fakeSide{id: bridge.XMPP},
		account: bridge.Totals{Counts: map[bridge.Counter]int64{}, Pending: map[bridge.SideID]int64{}, Open: map[bridge.SideID]int64{}},
	}
}

func (w *world) config() Config {
	return Config{
		Addr: "127.0.0.1:0", Loopback: true, Version: "v1", Sides: []Side{&w.mqtt, &w.xmpp}, Rooms: w, Balance: w, Offers: w, Dead: w,
		Timings: w.timings, InFlight: func(side bridge.SideID) int { return int(side) * 3 }, Window: func(side bridge.SideID) int { return int(side) * 100 },
		Certificates: func() map[string]time.Time { return map[string]time.Time{"xmpp_server": w.now.Add(time.Hour)} },
		Alive:        func() error { return w.alive }, Clock: func() time.Time { return w.now }, Log: zerolog.New(&w.log),
	}
}

// page is a handler as the server has it, with the token that the world wants.
func (w *world) page(t *testing.T, loopback bool) http.Handler {
	t.Helper()
	cfg := w.config()
	cfg.Loopback = loopback
	if w.token != "" || w.tokenErr != nil {
		cfg.Token = func() (string, error) { return w.token, w.tokenErr }
	}
	s := &Server{cfg: cfg, started: w.now.Add(-90 * time.Second)}
	h, err := s.handler()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	return do(t, h, request(http.MethodGet, path))
}

func request(method, path string) *http.Request {
	r := httptest.NewRequest(method, path, http.NoBody)
	r.Host = "127.0.0.1:8080"
	return r
}

func do(t *testing.T, h http.Handler, r *http.Request) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

func TestHealth(t *testing.T) {
	for name, tt := range map[string]struct {
		set         func(*world)
		live, ready int
		says        string // of /readyz
	}{
		"all well":        {func(*world) {}, 200, 200, `"ok": true`},
		"a room away":     {func(w *world) { w.rooms[0].Up, w.rooms[0].Why = false, "no such room" }, 200, 200, `"room team@rooms.example.org: no such room"`},
		"xmpp and all":    {func(w *world) { w.xmpp.why, w.rooms[0].Why = "gone", "gone too" }, 200, 503, "\"xmpp: gone\"\n  ]\n}"},
		"mqtt down":       {func(w *world) { w.mqtt.why = "connection refused" }, 200, 503, "mqtt: connection refused"},
		"xmpp down":       {func(w *world) { w.xmpp.why = "not authorized" }, 200, 503, "xmpp: not authorized"},
		"disk full":       {func(w *world) { w.account.WriteErr = "no space left" }, 200, 503, "journal: no space left"},
		"journal crowded": {func(w *world) { w.account.Full, w.account.Crowded = true, true }, 200, 503, "CHATRELAY_STORE_MAX_PENDING"},
		"journal full":    {func(w *world) { w.account.Full = true }, 200, 503, "CHATRELAY_STORE_MAX_BYTES"},
		"writer stuck":    {func(w *world) { w.alive = errors.New("no commit for 1m") }, 503, 503, "journal: no commit for 1m"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.token = "t" // probes need none
			tt.set(w)
			h := w.page(t, false)
			if code, _ := get(t, h, "/livez"); code != tt.live {
				t.Errorf("/livez: %d, want %d", code, tt.live)
			}
			code, body := get(t, h, "/readyz")
			if code != tt.ready || !strings.Contains(body, tt.says) {
				t.Errorf("/readyz: %d %s, want %d and %q", code, body, tt.ready, tt.says)
			}
			var got health
			if err := json.Unmarshal([]byte(body), &got); err != nil || got.OK != (code == 200) {
				t.Errorf("/readyz: %v in %s", err, body)
			}
		})
	}
}

// TestWhoMayLook: health and metrics are for all, the rest for those with the token or on loopback.
func TestWhoMayLook(t *testing.T) {
	const forbidden, unauthorized = http.StatusForbidden, http.StatusUnauthorized
	for name, tt := range map[string]struct {
		loopback bool
		token    string
		tokenErr error
		host     string
		sent     string // Authorization
		peer     string // who asks; empty: somebody on the network
		proxy    string // header that a proxy sets
		want     int
	}{
		"loopback":                       {loopback: true, want: 200},
		"loopback, localhost":            {loopback: true, host: "localhost:8080", want: 200},
		"loopback, IPv6":                 {loopback: true, host: "[::1]:8080", want: 200},
		"loopback, token set, none sent": {loopback: true, token: "t", want: unauthorized},
		"loopback, token set, wrong":     {loopback: true, token: "t", sent: "Bearer u", want: unauthorized},
		"loopback, token set, right":     {loopback: true, token: "t", sent: "Bearer t", want: 200},
		"loopback, token file gone":      {loopback: true, tokenErr: errors.New("gone"), want: unauthorized},
		"loopback by a foreign name":     {loopback: true, host: "evil.example:8080", want: forbidden},
		"that, with the token":           {loopback: true, host: "evil.example", token: "t", sent: "Bearer t", want: 200},
		"open, no token set":             {want: forbidden},
		"open, no token set, one sent":   {sent: "Bearer ", want: forbidden},
		"open, this machine":             {peer: "127.0.0.1:4711", want: 200},
		"open, this machine by IPv6":     {peer: "[::1]:4711", host: "[::1]:8080", want: 200},
		"open, this machine, mapped":     {peer: "[::ffff:127.0.0.1]:4711", want: 200},
		"open, a container's neighbour":  {peer: "172.17.0.1:4711", want: forbidden},
		"open, this machine's proxy":     {peer: "127.0.0.1:4711", proxy: "X-Forwarded-For", want: forbidden},
		"open, a standard proxy":         {peer: "127.0.0.1:4711", proxy: "Forwarded", want: forbidden},
		"open, by a foreign name":        {peer: "127.0.0.1:4711", host: "evil.example", want: forbidden},
		"loopback behind a proxy":        {loopback: true, peer: "127.0.0.1:4711", proxy: "Via", want: forbidden},
		"loopback behind nginx":          {loopback: true, peer: "127.0.0.1:4711", proxy: "X-Real-IP", want: forbidden},
		"behind a proxy, with the token": {loopback: true, token: "t", sent: "Bearer t", proxy: "X-Forwarded-Proto", want: 200},
		"open, none sent":                {token: "t", want: unauthorized},
		"open, right":                    {token: "t", sent: "Bearer t", want: 200},
		"open, right, other case":        {token: "t", sent: "bearer t", want: 200},
		"open, wrong":                    {token: "t", sent: "Bearer u", want: unauthorized},
		"open, beginning":                {token: "tt", sent: "Bearer t", want: unauthorized},
		"open, basic":                    {token: "t", sent: "Basic t", want: unauthorized},
		"open, token file gone":          {tokenErr: errors.New("gone"), sent: "Bearer ", want: unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.token, w.tokenErr = tt.token, tt.tokenErr
			h := w.page(t, tt.loopback)
			for path, want := range map[string]int{
				"GET /livez": 200, "GET /readyz": 200, "GET /metrics": 200, "GET /statusz": tt.want, "GET /dead": tt.want,
				"POST /dead/1.0/requeue": tt.want, "POST /dead/1.0/drop": tt.want,
			} {
				method, path, _ := strings.Cut(path, " ")
				r := request(method, path)
				if tt.host != "" {
					r.Host = tt.host
				}
				if tt.peer != "" {
					r.RemoteAddr = tt.peer
				}
				if tt.proxy != "" {
					r.Header.Set(tt.proxy, "198.51.100.7")
				}
				if tt.sent != "" {
					r.Header.Set("Authorization", tt.sent)
				}
				if code, body := do(t, h, r); code != want {
					t.Errorf("%s %s: %d %s, want %d", method, path, code, body, want)
				}
			}
			if done := len(w.done); done > 0 != (tt.want == 200) {
				t.Errorf("%d changes were made", done)
			}
		})
	}
}

// TestForeignPage: a web page in the operator's browser cannot post.
func TestForeignPage(t *testing.T) {
	w := newWorld()
	r := request(http.MethodPost, "/dead/1.0/drop")
	r.Header.Set("Origin", "https://evil.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if code, _ := do(t, w.page(t, true), r); code != http.StatusForbidden || len(w.done) > 0 {
		t.Errorf("%d, done %q", code, w.done)
	}
}

func TestDeadLetters(t *testing.T) {
	found := []DeadLetter{
		{Ref: "3.0", Side: "xmpp", From: "1001", To: "1002", Reason: "bounced", At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Bytes: 99},
		{Ref: "4.1", Side: "mqtt", From: "1002", To: "1001", Reason: "too_big"},
	}
	for name, tt := range map[string]struct {
		request string
		deadErr error
		code    int
		says    string
		done    []string
	}{
		"list":               {"GET /dead", nil, 200, `"ref": "4.1"`, nil},
		"list one":           {"GET /dead?limit=1", nil, 200, `"reason": "bounced"`, nil},
		"limit 0":            {"GET /dead?limit=0", nil, 400, "from 1 to 1000", nil},
		"limit too much":     {"GET /dead?limit=1001", nil, 400, "from 1 to 1000", nil},
		"limit in words":     {"GET /dead?limit=all", nil, 400, "from 1 to 1000", nil},
		"list fails":         {"GET /dead", errors.New("disk"), 503, "disk", nil},
		"requeue":            {"POST /dead/3.0/requeue", nil, 200, `"done": "requeued"`, []string{"requeue 3.0"}},
		"drop":               {"POST /dead/4.1/drop", nil, 200, `"done": "dropped"`, []string{"drop 4.1"}},
		"some":               {"POST /dead/drop?reason=too_large&sender=1001&to=1002&older=36h&after=12", nil, 200, `"changed": 7`, []string{"drop after=12&older=36h0m0s&reason=too_large&sender=1001&to=1002"}},
		"all":                {"POST /dead/requeue?all=true", nil, 200, `"next": 300`, []string{"requeue all=true"}},
		"some fail":          {"POST /dead/drop?all=true", errors.New("disk"), 503, "disk", []string{"drop all=true"}},
		"none are named":     {"POST /dead/drop", nil, 400, "say which are meant", nil},
		"all, and some":      {"POST /dead/drop?all=true&to=1", nil, 400, "say which are meant", nil},
		"not quite all":      {"POST /dead/drop?all=yes", nil, 400, "not known", nil},
		"no such pick":       {"POST /dead/drop?from=1", nil, 400, "not known", nil},
		"no age":             {"POST /dead/drop?older=soon", nil, 400, "such as 36h", nil},
		"no value":           {"POST /dead/drop?reason=", nil, 400, "one value", nil},
		"two values":         {"POST /dead/drop?to=1&to=2", nil, 400, "one value", nil},
		"get drops none":     {"GET /dead/drop?all=true", nil, 405, "", nil},
		"no such letter":     {"POST /dead/9.0/drop", ErrNoDeadLetter, 404, "no such dead letter", nil},
		"drop fails":         {"POST /dead/9.0/drop", errors.New("disk"), 503, "disk", nil},
		"no number":          {"POST /dead/x/drop", nil, 400, "looks like 12.0", nil},
		"no delivery":        {"POST /dead/3/drop", nil, 400, "looks like 12.0", nil},
		"delivery too large": {"POST /dead/3.65536/drop", nil, 400, "looks like 12.0", nil},
		"message 0":          {"POST /dead/0.0/drop", nil, 400, "looks like 12.0", nil},
		"get is no order":    {"GET /dead/3.0/drop", nil, 405, "", nil},
		"no such order":      {"POST /dead/3.0/burn", nil, 404, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.deadLetters, w.deadErr = found, tt.deadErr
			method, path, _ := strings.Cut(tt.request, " ")
			code, body := do(t, w.page(t, true), request(method, path))
			if code != tt.code || !strings.Contains(body, tt.says) || !slices.Equal(w.done, tt.done) {
				t.Errorf("%d %s, done %q; want %d, %q, %q", code, body, w.done, tt.code, tt.says, tt.done)
			}
			if strings.Contains(tt.request, "limit=1") && strings.Contains(body, "4.1") {
				t.Errorf("more than the limit: %s", body)
			}
		})
	}
	if code, body := get(t, newWorld().page(t, true), "/dead"); code != 200 || !strings.Contains(body, `"dead": []`) {
		t.Errorf("an empty list: %d %s", code, body)
	}
}

func TestParseRef(t *testing.T) {
	for _, ref := range []bridge.Ref{{Msg: 1}, {Msg: 1<<64 - 1, Delivery: 1<<16 - 1}} {
		if got, err := ParseRef(ref.String()); err != nil || got != ref {
			t.Errorf("%v is read back as %v, %v", ref, got, err)
		}
	}
}

// TestServer: it listens from New on, serves until its context ends, and lets go of a request that never ends.
func TestServer(t *testing.T) {
	w := newWorld()
	cfg := w.config()
	var asked atomic.Int32
	cfg.Alive = func() error { asked.Add(1); return nil }
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	slow, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET /livez HTTP/1.1\r\nHost:"); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get("http://" + s.Addr() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != 200 || asked.Load() != 1 {
		t.Errorf("/livez: %v, %s, asked %d times", err, res.Status, asked.Load())
	}
	if d := cmp.Diff([]string{"no-store", "nosniff"}, []string{res.Header.Get("Cache-Control"), res.Header.Get("X-Content-Type-Options")}); d != "" {
		t.Errorf("headers: %s", d)
	}
	if s.server.ReadHeaderTimeout == 0 || s.server.ReadTimeout == 0 || s.server.WriteTimeout == 0 || s.server.IdleTimeout == 0 {
		t.Error("a timeout is missing")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("it still listens")
	}
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := newWorld().config()
	cfg.Addr = l.Addr().String()
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "CHATRELAY_HTTP_ADDR") {
		t.Errorf("got %v", err)
	}
}

package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
	"chatrelay/internal/trace"
)

const (
	operatorToken = "operator-0123456789"
	readerToken   = "reader-0123456789"
)

// kit is a console over a made-up relay.
type kit struct {
	t        *testing.T
	c        *Console
	now      time.Time
	operator string // the token; "": it cannot be read
	status   admin.Status
	asked    trace.Query
	took     map[string][]admin.Bucket
	tail     Tail
	log      strings.Builder

	mu      sync.Mutex // guards all below
	dead    []Delivery
	waiting []Delivery
	done    []string
	err     error
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), operator: operatorToken}
	c, err := New(Config{
		Token: func() (string, error) {
			if k.operator == "" {
				return "", errors.New("gone")
			}
			return k.operator, nil
		},
		ReadToken: func() (string, error) { return readerToken, nil }, Hosts: []string{"relay.example.org", "dotted.example."},
		Status: func() admin.Status { return k.status }, Journal: k, Tail: &k.tail, Clock: func() time.Time { return k.now }, Log: zerolog.New(&k.log),
		Took: func() (map[string][]admin.Bucket, error) { return k.took, nil },
		Trace: func(_ context.Context, q trace.Query) ([]*trace.Message, error) {
			k.asked = q
			return []*trace.Message{{Number: 7, State: trace.StateDelivered}}, k.err
		},
		Settings: func() []Setting { return []Setting{{Name: "CHATRELAY_X", Value: "1", Meaning: "What it is."}} },
	})
	if err != nil {
		t.Fatal(err)
	}
	k.c = c
	return k
}

// letters makes dead letters.
func letters(n int) []Delivery {
	out := make([]Delivery, n)
	for i := range out {
		out[i] = Delivery{Seq: uint64(i + 1), Ref: fmt.Sprintf("%d.0", i+1), From: "1001", To: fmt.Sprint(1000 + i%3), State: "dead", Reason: []string{"too_large", "gave_up"}[i%2]}
	}
	return out
}

func (k *kit) Deliveries(_ context.Context, state State, p admin.Selection, limit int) (out []Delivery, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.dead
	if state == StateWaiting {
		all = k.waiting
	}
	for _, d := range all {
		if d.Seq > p.After && (p.Reason == "" || p.Reason == d.Reason) && (p.To == "" || p.To == d.To) && (p.From == "" || p.From == d.From) && len(out) < limit {
			out = append(out, d)
		}
	}
	return out, k.err
}

func (k *kit) DeadCount() int64 { return int64(len(k.dead)) }

func (k *kit) DeadLetters(context.Context, int) ([]admin.DeadLetter, error) { return nil, nil }

func (k *kit) Requeue(_ context.Context, ref bridge.Ref) error { return k.one("requeue", ref) }
func (k *kit) Drop(_ context.Context, ref bridge.Ref) error    { return k.one("drop", ref) }

func (k *kit) one(verb string, ref bridge.Ref) error {
	if ref.Msg == 404 {
		return admin.ErrNoDeadLetter
	}
	k.done = append(k.done, verb+" "+ref.String())
	return k.err
}

func (k *kit) RequeueSome(_ context.Context, p admin.Selection) (admin.Batch, error) {
	return k.some("requeue", p)
}
func (k *kit) DropSome(_ context.Context, p admin.Selection) (admin.Batch, error) {
	return k.some("drop", p)
}

func (k *kit) some(verb string, p admin.Selection) (admin.Batch, error) {
	k.done = append(k.done, verb+" "+p.Query())
	return admin.Batch{Changed: 7, Next: 300}, k.err
}

// fromThePage is a request as the page sends it. A body makes it a POST.
func fromThePage(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/console/"+path, http.NoBody)
	if body != "" {
		r = httptest.NewRequest(http.MethodPost, "/console/"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Host = "127.0.0.1:8080"
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set(ours, "1")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func (k *kit) do(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	k.c.ServeHTTP(rec, r)
	return rec.Result()
}

// login gives the cookie of a new session.
func (k *kit) login(token string) *http.Cookie {
	k.t.Helper()
	res := k.do(fromThePage("api/login", `{"token":"`+token+`"}`))
	if res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 {
		k.t.Fatalf("login: %d, cookies %v", res.StatusCode, res.Cookies())
	}
	return res.Cookies()[0]
}

// as sends a request with a cookie; nil: without.
func (k *kit) as(cookie *http.Cookie, path, body string) *http.Response {
	r := fromThePage(path, body)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	return k.do(r)
}

// said is an answer's body.
func readAnswer(t *testing.T, res *http.Response) map[string]any {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	out := map[string]any{}
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	return out
}

package mqttside

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// fakeParty is both ends of a way that does what a test says.
type fakeParty struct {
	echoes
	drops     int           // so many probes are lost
	late      time.Duration // the others come so late
	hangs     bool          // no ping is answered
	dead      error         // nothing can be said
	published int
}

func (p *fakeParty) say(_ string, payload []byte) error {
	if p.dead != nil {
		return p.dead
	}
	if p.published++; p.published > p.drops {
		time.AfterFunc(p.late, func() { p.hear(payload) })
	}
	return nil
}

func (p *fakeParty) fence(ctx context.Context) error {
	if p.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func TestHears(t *testing.T) {
	dead := errors.New("dead")
	for name, tc := range map[string]struct {
		p     *fakeParty
		heard bool
		err   error
		most  time.Duration // how long it may take
	}{
		"at once":                 {&fakeParty{}, true, nil, 0},
		"behind the ping":         {&fakeParty{late: time.Second}, true, nil, time.Second},
		"two are dropped":         {&fakeParty{drops: 2}, true, nil, 4 * time.Second},
		"all are dropped":         {&fakeParty{drops: 100}, false, nil, 5100 * time.Millisecond},
		"an old one comes":        {&fakeParty{late: 3 * time.Second}, true, nil, 3 * time.Second},
		"the broker hangs":        {&fakeParty{drops: 100, hangs: true}, false, context.DeadlineExceeded, time.Minute},
		"it hangs and then hears": {&fakeParty{late: 20 * time.Second, hangs: true}, true, nil, 20 * time.Second},
		"the connection is gone":  {&fakeParty{dead: dead}, false, dead, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				got, err := hears(ctx, tc.p, tc.p, "topic", 100, probeTimeLimit)
				if got != tc.heard || !errors.Is(err, tc.err) {
					t.Errorf("heard %v (%v), want %v (%v)", got, err, tc.heard, tc.err)
				}
				if took := time.Since(began); took > tc.most {
					t.Errorf("it took %v", took)
				}
				if len(tc.p.waiting) > 0 {
					t.Error("a probe is still waited for")
				}
			})
		})
	}
}

func TestProbeBody(t *testing.T) {
	for _, n := range []int{0, probeLeast, probeLeast + 1, 5000} {
		sent := newNonce()
		b := probeBody(sent, n)
		if len(b) != max(n, probeLeast) {
			t.Errorf("%d bytes, want %d", len(b), n)
		}
		if got, ok := parseProbe(b); !ok || got != sent {
			t.Errorf("%q: %v %v", b[:probeLeast], got, ok)
		}
	}
	for _, bad := range []string{"", "{}", `{"probe":"0123456789abcde`, `{"probe":"xxxxxxxxxxxxxxxx"}`, `{"other":"0123456789abcdef"}`} {
		if _, ok := parseProbe([]byte(bad)); ok {
			t.Errorf("%q is a probe", bad)
		}
	}
}

// TestLengths: what is said of a length, as probes are heard and missed.
func TestLengths(t *testing.T) {
	now := time.Now()
	var l lengths
	is := func(n int, want fit) {
		t.Helper()
		if got, _ := l.fits("b", n, now); got != want {
			t.Errorf("%d: %d, want %d", n, got, want)
		}
	}
	is(10, fitNever)
	l.missed("b", 3000, now)
	l.heard("b", 2000, now)
	is(2000, fits)
	is(3000, fitsNot)
	is(5000, fitsNot)
	is(2500, fitsMay) // between the two
	if n := l.wanted("b"); n != 2500 {
		t.Errorf("%d is wanted", n)
	}
	l.missed("b", 2500, now)
	is(2500, fitsNot)
	is(2400, fitsMay)
	l.heard("b", 2400, now)
	if n := l.wanted("b"); n != 0 {
		t.Errorf("%d is wanted", n)
	}
	is(2400, fits)
	now = now.Add(lengthRetry)
	is(5000, fitsMay) // the limit may have been raised
	l.missed("b", 5000, now)
	is(2500, fitsMay)
	is(5000, fitsNot)
	l.heard("b", 6000, now)
	is(5000, fits)
	if n := l.known("b", now.Add(lengthAge-time.Second)); n != 6000 {
		t.Errorf("%d is known", n)
	}
	if n := l.known("b", now.Add(lengthAge)); n != 0 {
		t.Errorf("%d is known after an hour", n)
	}
	now = now.Add(lengthAge)
	l.missed("b", 6100, now)
	l.heard("b", 5900, now) // a search is not as exact as the message that had found 6000
	if n := l.known("b", now); n != 5900 {
		t.Errorf("%d is known after a search, want 5900", n)
	}
	l.missed("b", 5500, now) // it was lowered
	is(100, fitNever)
	if n := l.known("other", now); n != 0 {
		t.Errorf("%d is known of another broker", n)
	}
}

func TestSearch(t *testing.T) {
	for _, limit := range []int{probeLeast, 2000, 65536, 199_000} {
		steps := 0
		low, high, err := search(200_704, func(n int) (bool, error) { steps++; return n <= limit, nil })
		if err != nil || low > limit || high <= limit || steps > lengthSteps || high-low > 200 {
			t.Errorf("limit %d: between %d and %d in %d steps (%v)", limit, low, high, steps, err)
		}
	}
	stop := errors.New("stop")
	if _, _, err := search(1000, func(int) (bool, error) { return false, stop }); err != stop {
		t.Errorf("error %v", err)
	}
}

package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func outbounds(n int) (out []Outbound) {
	for i := range n {
		out = append(out, Outbound{Ref: Ref{Msg: uint64(i + 1)}, Kind: KindChat, From: "1001", To: "1002", Body: []byte("secret words")})
	}
	return out
}

// dispatch runs a dispatcher over one delivery and tells what the queue heard. Send answers with err.
func dispatch(t *testing.T, l *fakeQueue, err error) []string {
	t.Helper()
	for _, o := range outbounds(1) {
		l.queue <- o
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		side := &fakeSide{send: func(context.Context, Outbound) error { return err }}
		NewDispatcher(l, side, nil, func() time.Time { return noon }, zerolog.Nop()).dispatch(ctx, <-l.queue)
	})
	return l.heard()
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestDispatcherOutcomes(t *testing.T) {
	const long, short = giveUpAfter + time.Second, giveUpAfter
	tests := []struct {
		name  string
		err   error
		tries int
		since time.Duration
		want  []string
	}{
		{"bound: the side's from now on", nil, 0, 0, nil},
		{"down: the same delivery again", ErrDown, 0, 0, []string{"release 1.0"}},
		{"down, in other words", fmt.Errorf("mqtt: %w", ErrDown), 0, 0, []string{"release 1.0"}},
		{"down for days is not given up", ErrDown, giveUpTries, long, []string{"release 1.0"}},
		{"refused", Refuse("gone", "no such person"), 0, 0, []string{"close 1.0: gone: no such person"}},
		{"refused, in other words", fmt.Errorf("xmpp: %w", Refuse("gone", "no such person")), 0, 0, []string{"close 1.0: gone: no such person"}},
		{"anything else waits", errBroken, 0, 0, []string{"defer 1.0: the disk is gone"}},
		{"another's context is no end of ours", context.Canceled, 0, 0, []string{"defer 1.0: context canceled"}},
		{"tried for a day", errBroken, giveUpTries, long, []string{"close 1.0: gave_up: it could not be delivered for 24 hours: the disk is gone"}},
		{"it was not tried", untried{}, giveUpTries, long, []string{"rest 1.0: 7ms"}},
		{"tried for less than a day", errBroken, giveUpTries, short, []string{"defer 1.0: the disk is gone"}},
		{"in hand for days because the side was down", errBroken, 3, long, []string{"defer 1.0: the disk is gone"}},
		{"nobody knows for how long", errBroken, giveUpTries, 0, []string{"defer 1.0: the disk is gone"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newQueue()
			l.tries, l.since = tt.tries, tt.since
			if got := dispatch(t, l, tt.err); !slices.Equal(got, tt.want) {
				t.Errorf("the queue heard %q, want %q", got, tt.want)
			}
			for _, r := range l.closed {
				var why *Refusal
				if !errors.As(r.Err, &why) {
					t.Errorf("buried with a %T, want a *Refusal", r.Err)
				}
			}
		})
	}
}

func TestDispatcherBacksOff(t *testing.T) {
	for _, tries := range []int{0, 1, 5, 8, 100, giveUpTries - 1} {
		l := newQueue()
		l.tries = tries
		dispatch(t, l, errBroken)
		full := backoffMost
		if tries < 8 {
			full = min(backoffFirst<<tries, backoffMost)
		}
		if wait := l.deferred; wait <= full/2 || wait > full {
			t.Errorf("after %d tries it waits %v, want about %v", tries, wait, full)
		}
	}
}

// A side that is down is asked some times a second, not as fast as it can answer.
func TestDispatcherDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newQueue(outbounds(1)...)
		asked := 0
		side := &fakeSide{send: func(_ context.Context, out Outbound) error {
			asked++
			l.queue <- out // what Release does
			return ErrDown
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := NewDispatcher(l, side, nil, nil, zerolog.Nop()).Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		if most := int(10*time.Second/downPause) + 1; asked > most || asked < 10 {
			t.Errorf("asked %d times in 10 s, want at most %d", asked, most)
		}
	})
}

func TestDispatcherKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newQueue(outbounds(50)...)
		var sent []uint64
		ctx, cancel := context.WithCancel(t.Context())
		side := &fakeSide{send: func(_ context.Context, out Outbound) error {
			sent = append(sent, out.Ref.Msg)
			switch out.Ref.Msg % 3 { // whatever becomes of one, the next one has its turn
			case 0:
				return Refuse("gone", "no")
			case 1:
				return errBroken
			}
			return nil
		}}
		done := make(chan error, 1)
		go func() { done <- NewDispatcher(l, side, nil, nil, zerolog.Nop()).Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(sent) != 50 || !slices.IsSorted(sent) {
			t.Errorf("sent %v", sent)
		}
	})
}

// A delivery in hand goes back when the relay stops: it was never bound.
func TestDispatcherStops(t *testing.T) {
	tests := []struct {
		name string
		send func(ctx context.Context, out Outbound) error
		want []string
	}{
		{"while it waits for the window", func(ctx context.Context, _ Outbound) error { <-ctx.Done(); return ctx.Err() }, []string{"release 1.0"}},
		{"with an error of the side's own", func(ctx context.Context, _ Outbound) error { <-ctx.Done(); return errBroken }, []string{"release 1.0"}},
		{"while the side leaves", func(ctx context.Context, _ Outbound) error { <-ctx.Done(); return ErrDown }, []string{"release 1.0"}},
		{"but it was bound", func(ctx context.Context, _ Outbound) error { <-ctx.Done(); return nil }, nil},
		{"but it was refused", func(ctx context.Context, _ Outbound) error { <-ctx.Done(); return Refuse("gone", "no") }, []string{"close 1.0: gone: no"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newQueue(outbounds(1)...)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- NewDispatcher(l, &fakeSide{send: tt.send}, nil, nil, zerolog.Nop()).Run(ctx) }()
				synctest.Wait()
				began := time.Now()
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Run: %v", err)
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("it took %v to stop", took)
				}
				if got := l.heard(); !slices.Equal(got, tt.want) {
					t.Errorf("the queue heard %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// lastDelivery hands a delivery out at the very moment of the end.
type lastDelivery struct {
	*fakeQueue
	end context.CancelFunc
}

func (l lastDelivery) Next(context.Context, SideID) (Outbound, error) {
	l.end()
	return outbounds(1)[0], nil
}

func TestDispatcherGivesBackTheLastDelivery(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := lastDelivery{newQueue(), cancel}
	side := &fakeSide{send: func(context.Context, Outbound) error { t.Error("sent after the end"); return nil }}
	if err := NewDispatcher(l, side, nil, nil, zerolog.Nop()).Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := l.heard(); !slices.Equal(got, []string{"release 1.0"}) {
		t.Errorf("the queue heard %q", got)
	}
}

func TestDispatcherEndsWithABrokenJournal(t *testing.T) {
	l := newQueue()
	l.nextErr = errBroken
	close(l.queue)
	if err := NewDispatcher(l, &fakeSide{}, nil, nil, zerolog.Nop()).Run(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("Run: %v, want %v", err, errBroken)
	}
}

// A dead letter is logged with why, and never with what it said; a hundred of one kind are a line or two.
func TestDispatcherLogs(t *testing.T) {
	var out bytes.Buffer
	l := newQueue()
	side := &fakeSide{send: func(context.Context, Outbound) error { return Refuse("gone", "no such person") }}
	c := NewDispatcher(l, side, nil, newClock().now, zerolog.New(&out))
	for _, o := range append(outbounds(50), outbounds(50)...) {
		c.dispatch(t.Context(), o)
	}
	if got := strings.Count(out.String(), "\n"); got != 1 {
		t.Errorf("%d lines, want 1", got)
	}
	if !strings.Contains(out.String(), `"reason":"gone"`) || strings.Contains(out.String(), "secret") {
		t.Errorf("logged: %s", out.String())
	}
	if len(l.closed) != 100 {
		t.Errorf("%d dead letters, want 100", len(l.closed))
	}
}

func TestWatch(t *testing.T) {
	tests := []struct {
		name string
		err  error // of each Delayed
		asks int
		want error
	}{
		{"each tick", nil, 3, nil},
		{"goes on while the journal is full", fmt.Errorf("delayed: %w", ErrFull), 3, nil},
		{"ends with a broken journal", errBroken, 1, errBroken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newQueue()
				l.delayErr = tt.err
				ctx, cancel := context.WithCancel(t.Context())
				tick := make(chan time.Time)
				done := make(chan error, 1)
				go func() { done <- Watch(ctx, l, tick) }()
				for range tt.asks {
					tick <- noon
				}
				synctest.Wait()
				cancel()
				if err := <-done; !errors.Is(err, tt.want) {
					t.Errorf("Watch: %v, want %v", err, tt.want)
				}
				if want := slices.Repeat([]time.Duration{10 * time.Second}, tt.asks); !slices.Equal(l.waited, want) {
					t.Errorf("asked for what has waited %v, want %v", l.waited, want)
				}
			})
		})
	}
}

// By itself it looks twice a second.
func TestWatchByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newQueue()
		ctx, cancel := context.WithTimeout(t.Context(), 10*watchEvery+1)
		defer cancel()
		if err := Watch(ctx, l, nil); err != nil {
			t.Errorf("Watch: %v", err)
		}
		if len(l.waited) != 10 {
			t.Errorf("asked %v", l.waited)
		}
	})
}

// A delayed notice that fails because the relay stops is no error.
func TestWatchStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := ending{newQueue(), cancel}
	tick := make(chan time.Time, 1)
	tick <- noon
	if err := Watch(ctx, l, tick); err != nil {
		t.Errorf("Watch: %v", err)
	}
}

type ending struct {
	*fakeQueue
	end context.CancelFunc
}

func (l ending) Delayed(ctx context.Context, _ time.Duration) error {
	l.end()
	return ctx.Err()
}

// What its sender wanted to arrive by now is dead, and its content with it: before it is tried, or while the side is waited for.
func TestExpired(t *testing.T) {
	envelope := []byte(`{"from":"1001","to":"1002","content":"secret words","timeStamp":1}`)
	for name, tc := range map[string]struct {
		left time.Duration
		send func(context.Context) error
		want string
	}{
		"over":                     {-1, nil, "expired"},
		"while the side is waited": {time.Minute, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "expired"},
		"a side's own time limit":  {time.Minute, func(context.Context) error { return context.DeadlineExceeded }, ""},
		"sent in time":             {time.Minute, func(context.Context) error { return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newQueue()
				side := &fakeSide{send: func(ctx context.Context, _ Outbound) error { return tc.send(ctx) }}
				out := Outbound{Ref: Ref{Msg: 1}, Kind: KindChat, From: "1001", To: "1002", Body: envelope, Left: tc.left}
				NewDispatcher(l, side, nil, nil, zerolog.Nop()).dispatch(t.Context(), out)
				if tc.want == "" {
					if len(l.closed) > 0 {
						t.Errorf("closed %+v", l.closed)
					}
					return
				}
				why, ok := errors.AsType[*Refusal](l.closed[0].Err)
				if kept := string(l.closed[0].Body); !ok || why.Reason != tc.want || strings.Contains(kept, "secret") || !strings.Contains(kept, "1002") {
					t.Errorf("closed with %v, kept %s", l.closed[0].Err, kept)
				}
			})
		})
	}
}

type untried struct{}

func (untried) Error() string          { return "another one of its lane is under way" }
func (untried) RetryIn() time.Duration { return 7 * time.Millisecond }
func (untried) Untried()               {}

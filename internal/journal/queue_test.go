package journal

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chatrelay/bridge"
	"chatrelay/test/sqlfault"
)

// bubble is a journal in a bubble of time, with some deliveries that a wire has, and a count of its commits.
type bubble struct {
	*testJournal
	o       Options
	refs    []bridge.Ref
	commits atomic.Int64
	began   time.Time
}

func inBubble(t *testing.T, test func(t *testing.T, s *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, driver := sqlfault.New(t)
		s := &bubble{o: options(t.TempDir())}
		s.o.driver = driver
		s.testJournal = openTest(t, s.o)
		for _, to := range []string{"1002", "1003", "1004", "1005"} {
			s.append(direct(bridge.XMPP, "1001", to, "a"))
			ref := s.next(bridge.MQTT).Ref
			s.bind(ref, "packet "+to)
			s.refs = append(s.refs, ref)
		}
		f.Set(func(query string, ran bool) error {
			if appends(query) && ran {
				s.commits.Add(1)
			}
			return nil
		})
		s.began = time.Now()
		test(t, s)
	})
}

// check lets the writer come to rest, and checks what it has done at what time.
func (s *bubble) check(at time.Duration, commits, delivered int64) {
	s.t.Helper()
	synctest.Wait()
	if got := time.Since(s.began); got != at {
		s.t.Fatalf("it is %v, want %v", got, at)
	}
	if got := s.commits.Load(); got != commits {
		s.t.Fatalf("after %v there were %d commits, want %d", at, got, commits)
	}
	s.wantCount("delivered", bridge.XMPP, "", delivered)
}

// Settles that nobody waits for wait for company, 5 ms from the first; they share one commit.
func TestSettlesWaitForCompany(t *testing.T) {
	inBubble(t, func(t *testing.T, s *bubble) {
		s.Settle(bridge.Result{Ref: s.refs[0]})
		time.Sleep(4 * time.Millisecond)
		s.Settle(bridge.Result{Ref: s.refs[1]})
		s.check(4*time.Millisecond, 0, 0)
		time.Sleep(time.Millisecond)
		s.check(5*time.Millisecond, 1, 2)
		time.Sleep(100 * time.Millisecond)
		s.Settle(bridge.Result{Ref: s.refs[2]})
		time.Sleep(4 * time.Millisecond)
		s.check(109*time.Millisecond, 1, 2)
		time.Sleep(time.Millisecond)
		s.check(110*time.Millisecond, 2, 3)
	})
}

// Whatever else comes takes along all that is before it, at once.
func TestSettlesRideAlong(t *testing.T) {
	for name, company := range map[string]func(s *bubble) error{
		"append": func(s *bubble) error {
			return s.Append(s.t.Context(), []*bridge.Record{direct(bridge.XMPP, "1001", "1006", "b")})
		},
		"bind":   func(s *bubble) error { return s.Wait(s.t.Context(), s.Bind(s.refs[3], []byte("again"))) },
		"unbind": func(s *bubble) error { s.Unbind(s.refs[3]); return nil },
		"state":  func(s *bubble) error { return s.Wait(s.t.Context(), s.SetState(bridge.MQTT)) },
		"count":  func(s *bubble) error { s.Count(bridge.MQTT, "x", 1); return nil },
		"ping":   func(s *bubble) error { return s.Ping(s.t.Context()) },
		"read":   func(s *bubble) error { _, err := s.Bound(s.t.Context(), bridge.MQTT); return err },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *bubble) {
				s.Settle(bridge.Result{Ref: s.refs[0]}, bridge.Result{Ref: s.refs[1]})
				s.check(0, 0, 0)
				must(t, company(s))
				s.check(0, 1, 2)
				s.Settle(bridge.Result{Ref: s.refs[2]}) // this one waits for all of its time again
				time.Sleep(4 * time.Millisecond)
				s.check(4*time.Millisecond, 1, 2)
				time.Sleep(time.Millisecond)
				s.check(5*time.Millisecond, 2, 3)
			})
		})
	}
}

// Who ends the journal does not wait for company.
func TestCloseTakesSettlesAlong(t *testing.T) {
	inBubble(t, func(t *testing.T, s *bubble) {
		s.Settle(bridge.Result{Ref: s.refs[0]})
		s.check(0, 0, 0)
		s.end()
		if waited := time.Since(s.began); waited != 0 {
			t.Errorf("closing took %v", waited)
		}
		b := openTest(t, s.o)
		b.wantCount("delivered", bridge.XMPP, "", 1)
		b.sum()
	})
}

// A kill while settles wait for company loses them, and nothing else: the deliveries are bound as they were, the wire
// settles them again, and their senders are told once.
func TestKillWhileSettlesWait(t *testing.T) {
	inBubble(t, func(t *testing.T, s *bubble) {
		s.Settle(bridge.Result{Ref: s.refs[0]}, bridge.Result{Ref: s.refs[1]})
		s.check(0, 0, 0)
		b := openTest(t, options(copyFolder(t, s.o.Dir)))
		bound, err := b.Bound(t.Context(), bridge.MQTT)
		must(t, err)
		if len(bound) != 4 || string(bound[0].Binding) != "packet 1002" || bound[0].Ref != s.refs[0] {
			t.Fatalf("bound: %+v", bound)
		}
		b.wantCount("delivered", bridge.XMPP, "", 0)
		b.settle(s.refs[0])
		b.wantNotice("1001", "a|sent|")
		b.nothing(bridge.MQTT)
		b.sum()
	})
}

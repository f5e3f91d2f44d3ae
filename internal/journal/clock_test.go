package journal

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
)

// steppable is a clock that can be set, and the time that passes whatever is done to it.
type steppable struct {
	*clock
	ran atomic.Int64
}

func (s *steppable) elapsed() time.Duration { return time.Duration(s.ran.Load()) }

func (s *steppable) pass(d time.Duration) {
	s.add(d)
	s.ran.Add(int64(d))
}

// A clock that is set back, or forth, changes nothing of what waits: neither a lane that backs off, nor when a
// message counts as delayed, is given up, or is too old for a bounce.
func TestClockSteps(t *testing.T) {
	for name, step := range map[string]time.Duration{"an hour back": -time.Hour, "a year back": -365 * 24 * time.Hour, "a year on": 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			c := &steppable{clock: newClock()}
			o := options(t.TempDir())
			o.Clock, o.Elapsed = c.Now, c.elapsed
			b := openTest(t, o)
			c.pass(time.Second)
			b.want(direct(bridge.XMPP, "1001", "1002", "sent before"), bridge.OutcomeTaken)
			sent := b.next(bridge.MQTT).Ref
			b.settle(sent)
			b.wantNotice("1001", "sent before|sent|")
			b.want(direct(bridge.XMPP, "1001", "1002", "waits"), bridge.OutcomeTaken)
			ref := b.next(bridge.MQTT).Ref
			b.Defer(ref, 100*time.Millisecond, "busy")

			c.add(step)
			b.nothing(bridge.MQTT)
			c.pass(99 * time.Millisecond)
			b.nothing(bridge.MQTT)
			must(t, b.Delayed(t.Context(), time.Second))
			b.nothing(bridge.MQTT)
			c.pass(time.Millisecond)
			if o := b.next(bridge.MQTT); o.Ref != ref {
				t.Fatalf("next is %v, want %v", o.Ref, ref)
			}
			if n, since := b.Attempts(ref); n != 1 || since != 100*time.Millisecond {
				t.Errorf("%d attempts in %v, want 1 in 0.1 s", n, since)
			}
			c.pass(time.Second)
			if a := b.Totals(); a.Oldest != 1100*time.Millisecond {
				t.Errorf("the oldest has waited %v, want 1.1 s", a.Oldest)
			}
			must(t, b.Delayed(t.Context(), time.Second))
			if n := b.notice(); n.Note.Status != "delayed" {
				t.Errorf("got %+v, want a delayed notice", n.Note)
			}
			c.pass(59 * time.Minute)
			b.Bounce(sent, bridge.Refuse("gone", "moved away"))
			b.sync()
			b.wantNotice("1001", "sent before|failed|moved away")
		})
	}
}

// While the clock is set back in the midst of a wait, Next comes back when the time is over.
func TestNextThroughAClockStep(t *testing.T) {
	c := newClock()
	began := time.Now()
	o := options("memory")
	o.Clock, o.Elapsed = c.Now, func() time.Duration { return time.Since(began) }
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	b.Defer(b.next(bridge.MQTT).Ref, 100*time.Millisecond, "busy")
	c.add(-time.Hour)
	b.next(bridge.MQTT) // within five seconds
}

// soon is an error of a side that knows when to try again.
type soon struct{}

func (soon) Error() string          { return "the room says nothing yet" }
func (soon) RetryIn() time.Duration { return 0 }

// deferrals shows what the dispatcher does with a delivery that cannot leave.
type deferrals struct {
	bridge.Queue
	outcomes chan string
}

func (d deferrals) Defer(ref bridge.Ref, wait time.Duration, reason string) {
	d.Queue.Defer(ref, wait, reason)
	if reason != (soon{}).Error() {
		d.outcomes <- reason
	}
}

func (d deferrals) Settle(results ...bridge.Result) {
	d.outcomes <- fmt.Sprint("dead: ", results[0].Err)
	d.Queue.Settle(results...)
}

// turningSide answers Send with what send says.
type turningSide struct {
	bridge.Side
	send func() error
}

func (s turningSide) ID() bridge.SideID                           { return bridge.XMPP }
func (s turningSide) Send(context.Context, bridge.Outbound) error { return s.send() }

// A post waits for its room's word, asked again and again, and then its side is away for more than a day, also across a
// restart: the first error after that makes no dead letter of it.
func TestAwayIsNotWaiting(t *testing.T) {
	for _, restart := range []bool{false, true} {
		c := &steppable{clock: newClock()}
		o := options(t.TempDir())
		o.Clock, o.Elapsed = c.Now, c.elapsed
		b := openTest(t, o)
		b.want(direct(bridge.MQTT, "1001", "1002", "a"), bridge.OutcomeTaken)
		run := func(send func() error) string {
			ctx, end := context.WithCancel(t.Context())
			q := deferrals{b, make(chan string, 10)}
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = bridge.NewDispatcher(q, turningSide{send: send}, nil, c.Now, zerolog.Nop()).Run(ctx)
			}()
			outcome := <-q.outcomes
			end()
			<-done
			return outcome
		}
		n := 0
		turned := func() error {
			if n++; n <= 2000 {
				return soon{}
			}
			return errors.New("turned away")
		}
		if got := run(turned); got != "turned away" {
			t.Fatal(got)
		}
		c.pass(30 * time.Hour) // nothing is tried
		if restart {
			b = b.reopen(o)
		}
		if got := run(turned); got != "turned away" {
			t.Errorf("restart %v: %s", restart, got)
		}
	}
}

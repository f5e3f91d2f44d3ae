package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

var errBroken = errors.New("the disk is gone")

// post is an intake that runs, with what the test needs of it.
type post struct {
	*Intake
	acks acks
	t    *testing.T
	stop context.CancelFunc
	done chan struct{} // closed when Run has ended
}

// run starts an intake. It must be called in a synctest bubble.
func run(t *testing.T, side SideID, journal Appender) *post {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &post{Intake: newIntake(side, journal), t: t, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if err := p.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-p.done })
	return p
}

// give offers a message under a name; its content is the name.
func (p *post) give(name string, change func(*Inbound)) {
	p.t.Helper()
	if err := p.Offer(p.t.Context(), p.inbound(name, change)); err != nil {
		p.t.Errorf("offer %s: %v", name, err)
	}
}

func (p *post) inbound(name string, change func(*Inbound)) Inbound {
	in := mqttIn(envelope(fields{"content": name}))
	if p.side == XMPP {
		in = xmppIn(in.Body)
	}
	if change != nil {
		change(&in)
	}
	in.Ack = p.acks.ack(p.t, name)
	return in
}

func gen(n uint64) func(*Inbound) {
	return func(in *Inbound) { in.Gen, in.Redelivers = n, true }
}

// want compares what messages were acknowledged with, in their order: "name: error".
func (p *post) want(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, name := range p.acks.names() {
		got = append(got, fmt.Sprintf("%s: %v", name, p.acks.errOf(t, name)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("acknowledged (-want +got)\n%s", diff)
	}
}

// outcomes makes a journal decide by content.
func outcomes(by map[string]Outcome) func([]*Record) error {
	return func(recs []*Record) error {
		for _, r := range recs {
			for content, o := range by {
				if strings.Contains(string(r.Body), `"content":"`+content+`"`) {
					r.Outcome = o
				}
			}
		}
		return nil
	}
}

func TestIntakeAnswersByOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &fakeJournal{do: outcomes(map[string]Outcome{"again": OutcomeDuplicate, "huge": OutcomeRefused})}
		p := run(t, XMPP, journal)
		p.give("new", nil)
		p.give("again", nil)
		p.give("chatter", func(in *Inbound) { in.Ignored = "chat_state" })
		p.give("bad", func(in *Inbound) { in.Refused = Refuse("unknown_sender", "who?") })
		p.give("huge", nil)
		p.give("next", nil)
		synctest.Wait()
		p.want(t, "new: <nil>", "again: <nil>", "chatter: <nil>", "bad: unknown_sender: who?",
			"huge: not_taken: the journal does not take it", "next: <nil>")
		var why *Refusal
		if err := p.acks.errOf(t, "bad"); !errors.As(err, &why) {
			t.Errorf("a refusal is acknowledged with a %T", err)
		}
		if p.Offered() != 6 {
			t.Errorf("%d offered, want 6", p.Offered())
		}
	})
}

// An offer is acknowledged after its commit, never before; what comes meanwhile shares the next one.
func TestIntakeGathersWhileACommitIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commit := make(chan error)
		journal := &fakeJournal{do: func([]*Record) error { return <-commit }}
		p := run(t, MQTT, journal)
		p.give("a", nil)
		synctest.Wait()
		for _, name := range []string{"b", "c", "d"} {
			p.give(name, nil)
		}
		synctest.Wait()
		p.want(t)
		commit <- nil
		synctest.Wait()
		p.want(t, "a: <nil>")
		commit <- nil
		synctest.Wait()
		p.want(t, "a: <nil>", "b: <nil>", "c: <nil>", "d: <nil>")
		if got := journal.sizes(); !slices.Equal(got, []int{1, 3}) {
			t.Errorf("commits of %v, want a lone one and a shared one", got)
		}
	})
}

func TestIntakeKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &fakeJournal{}
		p := run(t, MQTT, journal)
		var want, wrote []string
		for n := range 3000 {
			want = append(want, fmt.Sprint("m", n))
			p.give(want[n], nil)
		}
		synctest.Wait()
		if !slices.Equal(p.acks.names(), want) {
			t.Error("acknowledged out of order")
		}
		for _, recs := range journal.batches {
			for _, r := range recs {
				_, rest, _ := strings.Cut(string(r.Body), `"content":"`)
				name, _, _ := strings.Cut(rest, `"`)
				wrote = append(wrote, name)
			}
		}
		if !slices.Equal(wrote, want) {
			t.Error("written out of order")
		}
	})
}

// A commit that fails takes all of its connection with it, and nothing that follows may overtake. The next
// connection, on which the wire brings it all again, is a new beginning.
func TestIntakeFailedCommitEndsTheGeneration(t *testing.T) {
	for _, side := range []SideID{MQTT, XMPP} {
		t.Run(side.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fail := []error{nil, errBroken}
				journal := &fakeJournal{do: func([]*Record) (err error) {
					if len(fail) > 0 {
						err, fail = fail[0], fail[1:]
					}
					return err
				}}
				on := func(n uint64) func(*Inbound) {
					return func(in *Inbound) { in.Gen, in.Redelivers = n, side == MQTT }
				}
				p := run(t, side, journal)
				for _, name := range []string{"a", "b", "c"} {
					p.give(name, on(1))
					synctest.Wait()
				}
				p.give("b again", on(2))
				synctest.Wait()
				p.give("late", on(1))
				synctest.Wait()
				p.want(t, "a: <nil>", "b: the disk is gone", "c: the disk is gone", "b again: <nil>", "late: the disk is gone")
				if got := journal.sizes(); !slices.Equal(got, []int{1, 1, 1}) {
					t.Errorf("commits of %v: what was turned away was written", got)
				}
			})
		})
	}
}

// One batch holds the tail of a connection that was turned away and the head of the next one.
func TestIntakeTwoGenerationsInABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commit := make(chan error)
		journal := &fakeJournal{do: func([]*Record) error { return <-commit }}
		p := run(t, MQTT, journal)
		p.give("a", gen(1))
		synctest.Wait()
		commit <- fmt.Errorf("append: %w", ErrFull)
		synctest.Wait()
		p.give("hold", gen(0))
		synctest.Wait()
		p.give("b", gen(1))
		p.give("a again", gen(2))
		p.give("b again", gen(2))
		commit <- nil
		commit <- nil
		synctest.Wait()
		p.want(t, "a: "+ErrFull.Error(), "hold: <nil>", "b: "+ErrFull.Error(), "a again: <nil>", "b again: <nil>")
		if err := p.acks.errOf(t, "b"); !errors.Is(err, ErrFull) {
			t.Errorf("b ends with %v, but its connection was turned away because the journal is full", err)
		}
	})
}

// A batch with one failed append: every message of it, on whichever connection.
func TestIntakeFailedCommitOfTwoGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commit := make(chan error)
		p := run(t, MQTT, &fakeJournal{do: func([]*Record) error { return <-commit }})
		p.give("hold", gen(0))
		synctest.Wait()
		p.give("a", gen(1))
		p.give("b", gen(2))
		commit <- nil
		commit <- errBroken
		synctest.Wait()
		p.give("c", gen(2))
		synctest.Wait()
		p.want(t, "hold: <nil>", "a: the disk is gone", "b: the disk is gone", "c: the disk is gone")
	})
}

func TestIntakeForgetsOldGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := run(t, MQTT, &fakeJournal{do: func([]*Record) error { return errBroken }})
		for n := range uint64(5 * endedGens) {
			p.give(fmt.Sprint(n), gen(n))
			synctest.Wait()
		}
		if len(p.ended) > endedGens || p.ended[5*endedGens-1] == nil {
			t.Errorf("%d connections are remembered, want the newest %d", len(p.ended), endedGens)
		}
	})
}

// A full journal: on MQTT nothing may follow what was dropped, for the broker brings it again on the next
// connection. In XMPP its sender was told, and the next message is one of its own.
func TestIntakeFull(t *testing.T) {
	full := ErrFull.Error()
	tests := []struct {
		name string
		side SideID
		do   func([]*Record) error
		want []string
	}{
		{"MQTT", MQTT, outcomes(map[string]Outcome{"b": OutcomeFull}), []string{"a: <nil>", "b: " + full, "c: " + full, "d: " + full}},
		{"XMPP", XMPP, outcomes(map[string]Outcome{"b": OutcomeFull}), []string{"a: <nil>", "b: " + full, "c: <nil>", "d: <nil>"}},
		{"no outcome", XMPP, outcomes(map[string]Outcome{"b": OutcomeUnknown}),
			[]string{"a: <nil>", "b: the journal gave no outcome", "c: the journal gave no outcome", "d: the journal gave no outcome"}},
		{"the disk is full", XMPP, func([]*Record) error { return fmt.Errorf("append: %w", ErrFull) },
			[]string{"a: " + full, "b: " + full, "c: " + full, "d: " + full}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := run(t, tt.side, &fakeJournal{do: tt.do})
				for _, name := range []string{"a", "b", "c"} {
					p.give(name, func(in *Inbound) { in.Gen, in.Redelivers = 1, tt.side == MQTT })
				}
				synctest.Wait()
				p.give("d", func(in *Inbound) { in.Gen, in.Redelivers = 1, tt.side == MQTT })
				synctest.Wait()
				p.want(t, tt.want...)
				if err := p.acks.errOf(t, "b"); tt.name != "no outcome" && err != ErrFull {
					t.Errorf("b ends with %v, want ErrFull itself", err)
				}
				if p.Offered() != 4 {
					t.Errorf("%d offered, want 4", p.Offered())
				}
			})
		})
	}
}

// What is under way when the relay stops has its outcome; what comes after the end is left to its wire.
func TestIntakeStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commit := make(chan error)
		journal := &fakeJournal{do: func([]*Record) error { return <-commit }}
		p := run(t, MQTT, journal)
		p.give("a", gen(1))
		synctest.Wait()
		p.give("b", gen(1))
		p.stop()
		synctest.Wait()
		p.want(t)
		p.give("c", gen(1))
		commit <- nil // a
		commit <- nil // b and c: they were offered before the end
		<-p.done
		p.give("late", gen(1))
		p.give("later", gen(2))
		p.want(t, "a: <nil>", "b: <nil>", "c: <nil>", "late: "+errStopped.Error(), "later: "+errStopped.Error())
		if got := journal.sizes(); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("commits of %v: something was written after the end", got)
		}
	})
}

// A flood must not keep Run from ending.
func TestIntakeStopsUnderAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *post
		n := 0
		journal := &fakeJournal{}
		journal.do = func([]*Record) error {
			if n == 10 {
				p.stop()
			}
			if n++; n < 100 {
				p.give(fmt.Sprint("m", n), nil) // one more for each that is written
			}
			return nil
		}
		p = run(t, MQTT, journal)
		p.give("m0", nil)
		<-p.done
		if n > 12 {
			t.Errorf("%d commits, though it was told to stop at the tenth", n)
		}
		if got := int64(len(p.acks.names())); got != p.Offered() {
			t.Errorf("%d of %d acknowledged", got, p.Offered())
		}
	})
}

// Every offer that returned nil is acknowledged once, wherever the end falls.
func TestIntakeAcknowledgesEachOnce(t *testing.T) {
	for end := range 200 {
		const offers = 50
		in := newIntake(MQTT, &fakeJournal{})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var a acks
		var wg sync.WaitGroup
		wg.Go(func() { _ = in.Run(ctx) })
		for n := range offers {
			if n == end%offers {
				wg.Go(stop)
			}
			m := mqttIn(envelope(nil))
			m.Ack = a.ack(t, fmt.Sprint(n))
			if err := in.Offer(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		wg.Wait()
		if got := len(a.names()); got != offers {
			t.Fatalf("round %d: %d of %d acknowledged", end, got, offers)
		}
	}
}

func big(n int) func(*Inbound) {
	return func(in *Inbound) { in.Body = envelope(fields{"content": strings.Repeat("x", n)}) }
}

// Memory is bounded by messages, by their bytes, and by what their deliveries take.
func TestIntakeIsBounded(t *testing.T) {
	crowd := make([]string, 10_000)
	for n := range crowd {
		crowd[n] = fmt.Sprint(2000 + n)
	}
	tests := []struct {
		name   string
		change func(*Inbound)
		most   int
	}{
		{"messages", func(in *Inbound) { in.Ignored = "x"; in.Body = nil }, intakeOffers},
		{"bytes", big(1 << 20), 7},
		{"deliveries", func(in *Inbound) { in.Body, in.Room = grouped(nil), room }, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				commit := make(chan error)
				p := run(t, XMPP, &fakeJournal{do: func([]*Record) error { return <-commit }})
				p.judge.directory = listed(Groups{room: crowd})
				p.give("first", tt.change)
				synctest.Wait() // it is with the journal
				offered := make(chan int, 1)
				go func() {
					n := 1
					for ; n < tt.most+1; n++ {
						p.give(fmt.Sprint(n), tt.change)
					}
					offered <- n
				}()
				synctest.Wait()
				select {
				case n := <-offered:
					t.Errorf("%d are taken, want at most %d", n, tt.most)
				default:
				}
				if got := p.Offered(); got != int64(tt.most) {
					t.Errorf("%d are taken before it blocks, want %d", got, tt.most)
				}
				commit <- nil // room for one
				synctest.Wait()
				if got := p.Offered(); got != int64(tt.most)+1 {
					t.Errorf("%d are taken once there is room, want %d", got, tt.most+1)
				}
				for sent := true; sent; synctest.Wait() { // one or two: the last may have joined the others
					select {
					case commit <- nil:
					default:
						sent = false
					}
				}
				if p.offers != 0 || p.bytes != 0 {
					t.Errorf("%d offers of %d bytes are still on the account", p.offers, p.bytes)
				}
			})
		})
	}
}

// A message larger than all the room must still come through, alone.
func TestIntakeTakesAGiantAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commit := make(chan error)
		journal := &fakeJournal{do: func([]*Record) error { return <-commit }}
		p := run(t, MQTT, journal)
		p.give("small", nil)
		synctest.Wait()
		go p.give("giant", big(intakeBytes+1))
		synctest.Wait()
		if p.Offered() != 1 {
			t.Error("the giant is taken beside another")
		}
		commit <- nil
		commit <- nil
		synctest.Wait()
		p.want(t, "small: <nil>", "giant: <nil>")
	})
}

// An offer that waits for room ends with its context, and is then nobody's.
func TestIntakeOfferEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commit := make(chan error)
		p := run(t, MQTT, &fakeJournal{do: func([]*Record) error { return <-commit }})
		p.give("first", big(intakeBytes-1000))
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- p.Offer(ctx, p.inbound("second", big(10_000))) }()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Offer: %v, want the context's error", err)
		}
		commit <- nil
		synctest.Wait()
		p.want(t, "first: <nil>")
		if p.Offered() != 1 {
			t.Errorf("%d offered, want 1: the second was never offered", p.Offered())
		}
	})
}

// An offer that waits for room must not wait for ever once nobody makes room any more.
func TestIntakeEndReleasesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commit := make(chan error)
		p := run(t, MQTT, &fakeJournal{do: func([]*Record) error { return <-commit }})
		p.give("first", nil)
		synctest.Wait()
		p.give("second", big(intakeBytes-1000))
		go p.give("third", big(10_000))
		go p.give("fourth", big(10_000))
		synctest.Wait()
		p.stop()
		commit <- nil
		synctest.Wait() // the last commit is under way, for as long as it may take
		for _, name := range []string{"third", "fourth"} {
			if err := p.acks.errOf(t, name); err != errStopped {
				t.Errorf("%s ends with %v, want %v", name, err, errStopped)
			}
		}
		commit <- errBroken
		<-p.done
		if got := len(p.acks.names()); got != 4 {
			t.Errorf("acknowledged: %v, want all four", p.acks.names())
		}
		if err := p.acks.errOf(t, "second"); err != errBroken {
			t.Errorf("the last commit's outcome is %v, want %v", err, errBroken)
		}
	})
}

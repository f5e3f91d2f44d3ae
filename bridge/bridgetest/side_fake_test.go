package bridgetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

// post is a far server in memory: it keeps what it has for the relay until that is acknowledged, and takes each
// numbered parcel once. flaw names one promise that its sides break.
type post struct {
	flaw string

	mu       sync.Mutex // guards all below
	changed  wait.Broadcast
	refuse   bool
	stopped  bool
	line     int // number of the connection; each cut begins a new one
	messages []string
	acked    int
	got      []string
	known    map[string]bool // parcels taken
}

func newPost(flaw string) *post {
	return &post{flaw: flaw, known: map[string]bool{}}
}

func (p *post) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.changed.Wake()
}

func (p *post) rig() SideRig {
	return SideRig{
		New:  func(d bridge.SideJournal) (bridge.Side, error) { return &fakeSide{p: p, journal: d}, nil },
		Kind: bridge.KindInbox, From: "1001", To: "2001", Near: "1001", Far: "2001",
		Inject: func(bodies ...string) error { p.set(func() { p.messages = append(p.messages, bodies...) }); return nil },
		Hear: func(n int) ([]string, error) {
			err := poll(untilLimit, "not heard", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.got) >= n })
			p.mu.Lock()
			defer p.mu.Unlock()
			return slices.Clone(p.got), err
		},
		Cut:        func() { p.set(func() { p.line++ }) },
		Refuse:     func(on bool) { p.set(func() { p.refuse = on }) },
		Stop:       func() error { p.set(func() { p.stopped = true; p.line++ }); return nil },
		Start:      func() error { p.set(func() { p.stopped = false }); return nil },
		Redelivers: true,
		Quiet:      []string{"bridgetest.(*fakeSide)"},
	}
}

// parcel is a delivery that is bound and not handed over.
type parcel struct {
	bridge.Outbound
	ticket uint64
}

// fakeSide keeps all promises, save the flaw of its post.
type fakeSide struct {
	p       *post
	journal bridge.SideJournal

	mu       sync.Mutex // guards all below
	up, done bool
	called   bool // something went back to the journal since Send last looked
	bound    []parcel
}

func (s *fakeSide) ID() bridge.SideID { return bridge.MQTT }

func (s *fakeSide) Up() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up, "no line"
}

func (s *fakeSide) Run(ctx context.Context, in bridge.Inlet) error {
	held, err := s.journal.Bound(ctx, bridge.MQTT)
	if err != nil {
		return err
	}
	for _, b := range held {
		s.bound = append(s.bound, parcel{b.Outbound, 0})
	}
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.up, s.done = false, s.p.flaw != "sends after the end"
		s.mu.Unlock()
		s.p.set(func() {})
	})()
	for gen := uint64(1); ctx.Err() == nil; gen++ {
		s.p.mu.Lock()
		line, ok, changed, next := s.p.line, !s.p.refuse && !s.p.stopped, s.p.changed.Wait(), s.p.acked
		s.p.mu.Unlock()
		if !ok {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		s.serve(ctx, in, gen, line, next)
	}
	for s.p.flaw != "does not wait" { // for what is bound
		s.deliver()
		s.mu.Lock()
		left := len(s.bound)
		s.mu.Unlock()
		s.p.mu.Lock()
		ok := !s.p.refuse && !s.p.stopped
		s.p.mu.Unlock()
		if left == 0 || !ok {
			break
		}
	}
	s.mu.Lock()
	s.up, s.done = false, true
	s.mu.Unlock()
	return nil
}

// serve is one connection.
func (s *fakeSide) serve(ctx context.Context, in bridge.Inlet, gen uint64, line, next int) {
	s.setUp(true)
	defer s.setUp(false)
	dropped := false
	for ctx.Err() == nil {
		s.p.mu.Lock()
		changed := s.p.changed.Wait() // taken before looking at what may change
		s.p.mu.Unlock()
		s.deliver()
		s.p.mu.Lock()
		alive, messages := s.p.line == line && !s.p.stopped, s.p.messages[min(next, len(s.p.messages)):]
		s.p.mu.Unlock()
		if !alive {
			return
		}
		if dropped { // brought again by the next connection, which does not come at once
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
			s.deliver()
			return
		}
		for _, body := range messages {
			n := next
			next++
			answer := make(chan error, 1) // Ack's one call
			err := in.Offer(ctx, bridge.Inbound{Body: []byte(body), To: "1001", Gen: gen, Redelivers: true, Ack: func(err error) { answer <- err }})
			if err != nil {
				return
			}
			var why error
			select {
			case why = <-answer:
			case <-ctx.Done():
				select {
				case why = <-answer:
				case <-time.After(100 * time.Millisecond): // its drain time: a journal that died answers nothing
					return
				}
			}
			var refusal *bridge.Refusal
			if why != nil && !errors.As(why, &refusal) && s.p.flaw != "acknowledges what failed" {
				dropped = true
				break
			}
			if s.p.flaw != "never acknowledges" {
				s.p.set(func() { s.p.acked = n + 1 })
			}
		}
		if len(messages) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (s *fakeSide) setUp(up bool) {
	s.mu.Lock()
	s.up = up || s.p.flaw == "always up"
	s.mu.Unlock()
	s.p.set(func() {})
}

// deliver hands over what is bound, once that is committed; the post takes each once. What a failed commit undid is
// with the journal, and what came after it goes back there.
func (s *fakeSide) deliver() {
	s.mu.Lock()
	bound := s.bound
	s.bound = nil
	s.mu.Unlock()
	for i, o := range bound {
		if s.p.flaw != "does not wait for the commit" && s.journal.Wait(context.Background(), o.ticket) != nil {
			s.mu.Lock()
			s.called = true
			for _, later := range slices.Concat(bound[i+1:], s.bound) {
				s.journal.Unbind(later.Ref)
			}
			s.bound = nil
			s.mu.Unlock()
			return
		}
		s.p.set(func() {
			if !s.p.known[o.Ref.String()] {
				s.p.got = append(s.p.got, string(o.Body))
			}
			if s.p.flaw == "doubles" && len(s.p.got) == 50 {
				s.p.got = append(s.p.got, string(o.Body))
			}
			s.p.known[o.Ref.String()] = true
		})
		s.journal.Settle(bridge.Result{Ref: o.Ref})
	}
}

func (s *fakeSide) Send(ctx context.Context, out bridge.Outbound) error {
	if strings.Contains(out.To, "/") && s.p.flaw != "sends to anybody" {
		return bridge.Refuse("bad_to", "the recipient is no landline")
	}
	for {
		s.p.mu.Lock()
		changed := s.p.changed.Wait()
		s.p.mu.Unlock()
		s.mu.Lock()
		up, done, called := s.up, s.done, s.called
		s.called = false
		if up && !done && !called && ctx.Err() == nil {
			s.bound = append(s.bound, parcel{out, s.journal.Bind(out.Ref, []byte("x"))})
			s.mu.Unlock()
			s.p.set(func() {})
			return nil
		}
		s.mu.Unlock()
		if done || called {
			return bridge.ErrDown
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestSideSuite runs the suite against a side that keeps its promises.
func TestSideSuite(t *testing.T) {
	RunSide(t, func(*testing.T) SideRig { return newPost("").rig() })
}

// TestSideSuiteFinds runs one case each against sides that break one promise.
func TestSideSuiteFinds(t *testing.T) {
	for flaw, name := range map[string]string{
		"acknowledges what failed":     "a failed offer is brought again",
		"never acknowledges":           "takes each message once",
		"doubles":                      "deaths both ways",
		"always up":                    "the server comes back",
		"sends to anybody":             "a refused delivery is dead, the next one goes",
		"does not wait for the commit": "publishes each delivery once, bound first",
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			for _, c := range sideCases {
				if c.name != name {
					continue
				}
				w := &sideWorld{SideRig: newPost(flaw).rig(), m: NewMemory(t)}
				w.m.SetLimit(3 * time.Second)
				err := c.run(w)
				if late := w.end(); err == nil {
					err = late
				}
				if err == nil {
					t.Errorf("the case %q finds nothing", name)
				}
			}
		})
	}
}

package xmppside

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/internal/wait"
	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"
)

const waitLimit = 60 * time.Second

// bothServers runs a test against each server.
func bothServers(t *testing.T, cfg servers.XMPPConfig, run func(t *testing.T, x *servers.XMPP)) {
	t.Helper()
	t.Run("prosody", func(t *testing.T) { run(t, servers.NewProsody(t, cfg)) })
	t.Run("ejabberd", func(t *testing.T) { run(t, servers.NewEjabberd(t, cfg)) })
}

// run is one run of a Side on a journal, with its dispatcher.
type run struct {
	*Side
	m    *bridgetest.Memory
	log  *testLog
	end  context.CancelFunc
	done chan struct{}
}

func testConfig(x *servers.XMPP) Config {
	return Config{
		JID: x.JID("receiver"), Password: Fixed(x.Password("receiver")), Addr: x.Addr, Roots: x.Roots,
		Version: "test", Drain: 5 * time.Second,
	}
}

// testLog shows the log of a test, as long as the test runs.
type testLog struct {
	tb   testing.TB
	mu   sync.Mutex
	text strings.Builder
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	l.tb.Logf("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

// count is how often a text was logged.
func (l *testLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func start(tb testing.TB, m *bridgetest.Memory, cfg Config) *run {
	tb.Helper()
	d := m.SideJournal()
	return startWith(tb, m, cfg, d, d)
}

func startWith(tb testing.TB, m *bridgetest.Memory, cfg Config, d bridge.SideJournal, in bridge.Inlet, change ...func(*Side)) *run {
	tb.Helper()
	log := &testLog{tb: tb}
	cfg.Log = zerolog.New(log)
	s, err := New(cfg, d)
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range change {
		f(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &run{Side: s, m: m, log: log, end: cancel, done: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx, in); err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	if carrier, ok := in.(*bridgetest.SideJournal); ok {
		wg.Go(func() { carrier.Dispatch(ctx, s) })
	}
	go func() { wg.Wait(); close(l.done) }()
	tb.Cleanup(l.stop)
	return l
}

// stop ends a life in good order.
func (l *run) stop() { l.end(); <-l.done }

// disconnect ends a run as kill -9 does.
func (l *run) disconnect(cut func()) {
	l.m.Crash()
	cut()
	l.stop()
}

// eventually waits until something of a Side is so.
func (l *run) eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit.C:
			_, why := l.Up()
			tb.Fatalf("never: %s (%s; %+v)", what, why, l.m.Sum())
		}
	}
}

// up waits until the side is.
func (l *run) up(tb testing.TB) *run {
	tb.Helper()
	l.eventually(tb, "up", func() bool { ok, _ := l.Up(); return ok })
	return l
}

// down waits until the side is down because of something.
func (l *run) down(tb testing.TB, because string) {
	tb.Helper()
	l.eventually(tb, "down because "+because, func() bool {
		ok, why := l.Up()
		return !ok && strings.Contains(why, because)
	})
}

func takenN(n int) func(bridgetest.Sum) bool {
	return func(s bridgetest.Sum) bool { return s.Taken >= n }
}

// takes waits for n offers and returns all that were taken.
func (l *run) takes(tb testing.TB, n int) []bridge.Inbound {
	tb.Helper()
	l.m.Until(tb, fmt.Sprintf("%d taken", n), takenN(n))
	return l.m.Taken()
}

// person is an ordinary XMPP client.
type person struct {
	*clients.XMPP
	jid     string
	mu      sync.Mutex
	got     []clients.Stanza
	others  []other
	changed wait.Broadcast
}

func newPerson(tb testing.TB, x *servers.XMPP, user string, rooms ...string) *person {
	tb.Helper()
	return newSession(tb, x, user, "", rooms...)
}

// other is presence, or the answer to a question.
type other struct {
	clients.Stanza
	inner string
}

// newSession is one of several of a user. In rooms all have the same nick.
func newSession(tb testing.TB, x *servers.XMPP, user, resource string, rooms ...string) *person {
	tb.Helper()
	p := &person{jid: x.JID(user)}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	c, err := clients.DialXMPP(ctx, clients.XMPPConfig{Addr: x.Addr, Domain: x.Domain, User: user, Resource: resource, Password: x.Password(user), Rooms: rooms,
		OnStanza: func(s clients.Stanza) {
			p.mu.Lock()
			p.got = append(p.got, s)
			p.mu.Unlock()
			p.changed.Wake()
		}, OnOther: func(s clients.Stanza, inner string) {
			p.mu.Lock()
			p.others = append(p.others, other{s, inner})
			p.mu.Unlock()
		}})
	if err != nil {
		tb.Fatal(err)
	}
	p.XMPP = c
	tb.Cleanup(c.Close)
	return p
}

// find waits until f is true of n stanzas, and returns those.
func (p *person) find(n int, f func(clients.Stanza) bool) ([]clients.Stanza, error) {
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	for {
		change := p.changed.Wait()
		var found []clients.Stanza
		p.mu.Lock()
		for _, s := range p.got {
			if f(s) {
				found = append(found, s)
			}
		}
		p.mu.Unlock()
		if len(found) >= n {
			return found, nil
		}
		select {
		case <-change:
		case <-limit.C:
			return nil, fmt.Errorf("%s got %d of %d stanzas", p.jid, len(found), n)
		}
	}
}

func (p *person) must(tb testing.TB, n int, f func(clients.Stanza) bool) []clients.Stanza {
	tb.Helper()
	got, err := p.find(n, f)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func withID(id string) func(clients.Stanza) bool {
	return func(s clients.Stanza) bool { return s.ID == id }
}

func chats(s clients.Stanza) bool {
	return s.Type == "chat" && s.HasBody && !strings.HasPrefix(s.ID, "sync-")
}

// says sends bodies to somebody and returns once the server has read them.
func (p *person) says(to string, bodies ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	for _, b := range bodies {
		for {
			if err := p.Ready(ctx); err != nil {
				return err
			}
			err := p.Send(to, "chat", "", b)
			if err == nil {
				break
			}
			if !errors.Is(err, clients.ErrOffline) {
				return err
			}
		}
	}
	return p.sync()
}

// sync waits until the server has read all that was sent before: a message to oneself comes behind it.
func (p *person) sync() error {
	id := "sync-" + time.Now().Format(time.RFC3339Nano)
	if err := p.Send(p.jid, "chat", id, "sync"); err != nil {
		return err
	}
	_, err := p.find(1, withID(id))
	return err
}

// raw sends stanzas as they are and returns once the server has read them.
func (p *person) raw(tb testing.TB, stanzas ...string) {
	tb.Helper()
	for _, s := range stanzas {
		if err := p.Raw(s); err != nil {
			tb.Fatal(err)
		}
	}
	if err := p.sync(); err != nil {
		tb.Fatal(err)
	}
}

package mqttside

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/internal/wait"
)

const waitLimit = 30 * time.Second

// run is one run of a Side on a journal, with its dispatcher.
type run struct {
	*Side
	m    *bridgetest.Memory
	end  context.CancelFunc
	done chan struct{}
}

func testConfig(tb testing.TB, url string) Config {
	return Config{
		URLs: []string{url}, ClientID: "chatrelay", Version: 3, QoS: 2, Prefix: "/chat", StatusTopic: "chatrelay/chatrelay/status",
		Drain: 3 * time.Second, Own: "receiver", Log: zerolog.New(&testLog{tb: tb}),
		Landline: func(l string) bool { return len(l) <= 64 && !strings.ContainsAny(l, "/+# \x00") },
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
	if key := doubled(p); key != "" {
		l.tb.Errorf("a log line has the key %s twice: %s", key, p)
	}
	return len(p), nil
}

// doubled finds a key that an object has twice; empty: none.
func doubled(line []byte) string {
	d := json.NewDecoder(bytes.NewReader(line))
	seen := map[string]bool{}
	for _, err := d.Token(); err == nil && d.More(); {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok || seen[name] {
			return name
		}
		seen[name] = true
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return name
		}
	}
	return ""
}

func TestDoubled(t *testing.T) {
	for line, want := range map[string]string{
		`{"level":"info","a":{"level":1},"message":"x"}`: "", `{"level":"info","level":4}`: "level", `{}`: "",
	} {
		if got := doubled([]byte(line)); got != want {
			t.Errorf("%s: %q", line, got)
		}
	}
}

func (l *testLog) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

func start(tb testing.TB, m *bridgetest.Memory, cfg Config) *run {
	tb.Helper()
	d := m.SideJournal()
	return startWith(tb, m, cfg, d, d)
}

func startWith(tb testing.TB, m *bridgetest.Memory, cfg Config, d *bridgetest.SideJournal, in bridge.Inlet) *run {
	tb.Helper()
	s, err := New(cfg, d)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &run{Side: s, m: m, end: cancel, done: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx, in); err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	wg.Go(func() { d.Dispatch(ctx, s) })
	go func() { wg.Wait(); close(l.done) }()
	tb.Cleanup(l.stop)
	return l
}

// stop ends a life in good order.
func (l *run) stop() { l.end(); <-l.done }

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
func (l *run) up(tb testing.TB) {
	tb.Helper()
	l.eventually(tb, "up", func() bool { ok, _ := l.Up(); return ok })
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

// person is an ordinary MQTT client.
type person struct {
	mqtt.Client
	mu      sync.Mutex
	got     []string // topic and payload
	changed wait.Broadcast
}

func newPerson(tb testing.TB, url, id string, topics ...string) *person {
	tb.Helper()
	p := &person{}
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetCleanSession(false).SetProtocolVersion(4)
	o.SetAutoReconnect(false).SetUsername("person").SetPassword("person")
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		p.mu.Lock()
		p.got = append(p.got, m.Topic()+" "+string(m.Payload()))
		p.mu.Unlock()
		p.changed.Wake()
	})
	p.Client = mqtt.NewClient(o)
	finish(tb, p.Connect())
	for _, t := range topics {
		finish(tb, p.Subscribe(t, 2, nil))
	}
	tb.Cleanup(func() { p.Disconnect(100) })
	return p
}

// back logs in again, after the broker was away. paho's own reconnecting says that it is connected before it has
// resumed: what is published in between is doubled and out of order.
func (p *person) back() error {
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	for lost := false; ; {
		if lost = lost || !p.IsConnectionOpen(); lost {
			if t := p.Connect(); t.WaitTimeout(waitLimit) && t.Error() == nil {
				return nil
			}
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-limit.C:
			return errors.New("the person does not come back")
		}
	}
}

func finish(tb testing.TB, t mqtt.Token) {
	tb.Helper()
	if !t.WaitTimeout(waitLimit) || t.Error() != nil {
		tb.Fatalf("token: %v", t.Error())
	}
}

func (p *person) says(tb testing.TB, topic, body string) {
	tb.Helper()
	finish(tb, p.Publish(topic, 2, false, body))
}

func (p *person) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

// hears waits for n messages.
func (p *person) hears(tb testing.TB, n int) []string {
	tb.Helper()
	got, err := p.await(n)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func (p *person) await(n int) ([]string, error) {
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	for {
		change := p.changed.Wait()
		if got := p.all(); len(got) >= n {
			return got, nil
		}
		select {
		case <-change:
		case <-limit.C:
			return nil, fmt.Errorf("heard %d of %d", len(p.all()), n)
		}
	}
}

func body(from string, n int) string { return fmt.Sprintf(`{"from":"%s","n":%d}`, from, n) }

// tally holds what came against 0..n-1 of each sender, in order.
func tally(tb testing.TB, what string, senders, n int, got []string) {
	tb.Helper()
	seen := map[string]int{}
	last := map[string]int{}
	dup, disorder := 0, 0
	for _, g := range got {
		var from string
		var i int
		if _, err := fmt.Sscanf(g[strings.Index(g, "{"):], `{"from":%q,"n":%d}`, &from, &i); err != nil {
			tb.Fatalf("%s: %q: %v", what, g, err)
		}
		key := fmt.Sprint(from, " ", i)
		if seen[key]++; seen[key] > 1 {
			dup++
			continue
		}
		if l, ok := last[from]; ok && i < l {
			disorder++
		}
		last[from] = i
	}
	lost := senders*n - len(seen)
	tb.Logf("%s: %d sent, %d lost, %d doubled, %d out of order", what, senders*n, lost, dup, disorder)
	if lost != 0 || dup != 0 || disorder != 0 {
		tb.Errorf("%s: lost %d, doubled %d, out of order %d", what, lost, dup, disorder)
	}
}

func bodies(m *bridgetest.Memory) (out []string) {
	for _, in := range m.Taken() {
		out = append(out, string(in.Body))
	}
	return out
}

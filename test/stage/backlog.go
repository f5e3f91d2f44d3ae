package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/test/e2e/clients"
	"chatrelay/test/servers"

	"golang.org/x/sync/errgroup"
)

// Backlog is more than a relay can hold in its memory: messages from MQTT while the XMPP server is away.
type Backlog struct {
	t      *testing.T
	MQTT   *servers.Mosquitto
	XMPP   *servers.XMPP
	Relay  *Relay
	Memory *Memory
	n      int
	pubs   []*clients.MQTT

	mu      sync.Mutex // guards all below
	heard   []uint8    // by number: how often
	arrived int        // at least once
	twice   int
	late    int // behind a newer one of the same sender
	last    [backlogLanes]int
}

// backlogLanes: so many send, each to one, so that nobody has more than his share.
const backlogLanes = 8

// NewBacklog starts servers, clients and a relay that lives within a memory limit.
func NewBacklog(t *testing.T, binary string, n int, memory int64) *Backlog {
	t.Helper()
	users := map[string]string{"receiver": "pw-receiver"}
	for i := range backlogLanes {
		users[backlogUser(i)] = "pw-" + backlogUser(i)
	}
	b := &Backlog{t: t, n: n, heard: make([]uint8, n), Memory: NewMemory(t, memory),
		MQTT: servers.NewMosquitto(t, servers.MosquittoConfig{MaxInflight: 1000, MaxQueued: 2 * n, Persistence: true, Extra: "set_tcp_nodelay true"}),
		XMPP: servers.NewProsody(t, servers.XMPPConfig{PlainAllowed: true, Users: users, SMQueue: 100000})}
	b.Relay = NewRelay(t, binary, map[string]string{
		"MQTT_URL": b.MQTT.URL, "XMPP_JID": b.XMPP.JID("receiver"), "XMPP_PASSWORD": b.XMPP.Password("receiver"),
		"XMPP_ADDR": b.XMPP.Addr, "XMPP_CA_FILE": b.XMPP.CAFile, "NOTICES": "failed", "DEDUP_MAX_KEYS": strconv.Itoa(max(n, 100_000)),
	})
	b.Memory.Put(b.Relay)
	b.Relay.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range backlogLanes {
		m, err := clients.DialMQTT(ctx, clients.MQTTConfig{Addr: b.MQTT.Addr, ClientID: fmt.Sprint("publisher", i)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		b.pubs = append(b.pubs, m)
		b.last[i] = -1
		cfg := xmppConfig(b.XMPP, backlogUser(i))
		cfg.OnStanza = func(s clients.Stanza) { b.hear(i, s) }
		x, err := clients.DialXMPP(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(x.Close)
	}
	return b
}

func backlogUser(i int) string { return fmt.Sprint("20", i) }

// Offer publishes all; it returns when the broker has taken the last one over.
func (b *Backlog) Offer(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for lane, m := range b.pubs {
		g.Go(func() error {
			for i := lane; i < b.n; i += backlogLanes {
				e := Envelope{ChatType: 1, Content: strconv.Itoa(i), From: fmt.Sprint("10", lane), To: backlogUser(lane), TimeStamp: int64(i + 1)}
				if err := m.Publish(ctx, Inbox(e.To), []byte(e.String()), 1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (b *Backlog) hear(lane int, s clients.Stanza) {
	var e Envelope
	if !s.HasBody || json.Unmarshal([]byte(s.Body), &e) != nil {
		return
	}
	i, err := strconv.Atoi(e.Content)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || i < 0 || i >= b.n || i%backlogLanes != lane {
		b.t.Errorf("heard %q, which nobody said", s.Body)
		return
	}
	switch b.heard[i]++; {
	case b.heard[i] > 1:
		b.twice++
		return
	case i < b.last[lane]:
		b.late++
	}
	b.arrived++
	b.last[lane] = max(b.last[lane], i)
}

// Arrived waits until so many have come once, as long as any come.
func (b *Backlog) Arrived(n int) {
	b.t.Helper()
	had, since := 0, time.Now()
	for {
		b.mu.Lock()
		arrived := b.arrived
		b.mu.Unlock()
		switch {
		case arrived >= n:
			return
		case arrived > had:
			had, since = arrived, time.Now()
		case time.Since(since) > 2*time.Minute:
			b.t.Fatalf("%d of %d have come, and none for two minutes; %s", arrived, n, b.Memory)
		}
		select {
		case <-b.t.Context().Done():
			b.t.FailNow()
		case <-time.After(20 * time.Millisecond): // a poll's pause
		}
	}
}

// Restart kills the relay and starts it again, within the same memory. The XMPP server need not be there.
func (b *Backlog) Restart() {
	b.t.Helper()
	b.Relay.Kill()
	began := time.Now()
	b.Relay.Launch()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	for {
		if code, _, err := b.Relay.Get(ctx, "/livez"); err == nil && code == 200 {
			break
		}
		if err, ended := b.Relay.Ended(20 * time.Millisecond); ended || ctx.Err() != nil {
			b.t.Fatalf("it does not start: %v; %s", err, b.Memory)
		}
	}
	b.t.Logf("started again in %v; %s", time.Since(began).Round(time.Millisecond), b.Memory)
}

// Full waits until the relay says that it takes no more, for the number of what waits.
func (b *Backlog) Full() (pending, limit int64) {
	b.t.Helper()
	late := time.Now().Add(2 * time.Minute)
	for {
		_, body, err := b.Relay.Get(b.t.Context(), "/readyz")
		if err == nil && strings.Contains(body, "CHATRELAY_STORE_MAX_PENDING") {
			break
		}
		if time.Now().After(late) {
			_, page, _ := b.Relay.Get(b.t.Context(), "/statusz")
			b.t.Fatalf("it never was full: %s %v; %s\n%s\nthe broker: %s", body, err, b.Memory, page, b.MQTT.Log())
		}
		time.Sleep(20 * time.Millisecond) // a poll's pause
	}
	var page struct {
		Store struct {
			Pending int64 `json:"pending"`
			Limit   int64 `json:"pending_limit"`
		} `json:"store"`
	}
	_, body, err := b.Relay.Get(b.t.Context(), "/statusz")
	if err == nil {
		err = json.Unmarshal([]byte(body), &page)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return page.Store.Pending, page.Store.Limit
}

// Run is the whole of it: killed while it fills, killed when it is full, killed while it drains.
func (b *Backlog) Run(ctx context.Context) {
	b.t.Helper()
	if err := b.XMPP.Stop(); err != nil {
		b.t.Fatal(err)
	}
	began := time.Now()
	offered := make(chan error, 1)
	go func() { offered <- b.Offer(ctx) }() // waited for below
	pending, limit := b.Full()
	b.t.Logf("full after %v: %d wait, the limit is %d; %s", time.Since(began).Round(time.Millisecond), pending, limit, b.Memory)
	if limit <= 0 || pending > limit+limit/8 || pending < limit*8/10 {
		b.t.Errorf("%d wait, the limit is %d", pending, limit)
	}
	b.Restart()
	if err := <-offered; err != nil {
		b.t.Fatal(err)
	}
	b.t.Logf("%d offered in %v", b.n, time.Since(began).Round(time.Millisecond))
	b.Restart()
	if err := b.XMPP.Start(); err != nil {
		b.t.Fatal(err)
	}
	began = time.Now()
	b.Arrived(b.n / 2)
	b.Restart()
	b.Arrived(b.n)
	b.t.Logf("drained in %v; %s", time.Since(began).Round(time.Millisecond), b.Memory)
	st := b.Relay.Balanced()
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.Memory.Kills(); n > 0 {
		b.t.Errorf("the kernel killed it %d times", n)
	}
	if maybe := st.Sides["xmpp"].Counts["maybe_duplicate"]; int64(b.twice) > maybe || b.late > 0 {
		b.t.Errorf("%d came twice, %d are counted as maybe; %d came late", b.twice, maybe, b.late)
	}
	b.Relay.Stop()
}

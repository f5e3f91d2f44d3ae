package mqttside

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestBehindABacklog is for a reader who is slow to end QoS 2 handshakes and has a backlog longer than the broker's
// in-flight limit. Were notices at QoS 1, Mosquitto 2.0.11 would send the newest mail ahead of what waits.
func TestBehindABacklog(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	var slow sync.Mutex // guards healed
	healed := false
	far := proxy.NewMQTT(t, r.broker.Addr, func(p proxy.Packet) proxy.Verdict {
		slow.Lock()
		defer slow.Unlock()
		if p.Type == proxy.PUBREL && !healed {
			return proxy.Drop
		}
		return proxy.Pass
	})
	reader := newPerson(t, "tcp://"+far.Addr(), "2001", "/chat/2001")
	l := start(t, r.m, r.cfg)
	l.up(t)
	const half, n = 30, 50
	send := func(i int) {
		r.m.Add(bridge.Inbox, "1001", "2001", body("x", i))
		r.m.Add(bridge.Notice, "1001", "2001", body("notice", i))
	}
	for i := range half {
		send(i)
	}
	r.m.Until(t, "there is a backlog", bridgetest.AllClosed)
	for i := half; i < n; i++ {
		send(i)
	}
	r.m.Until(t, "all is with the broker", bridgetest.AllClosed)
	slow.Lock()
	healed = true
	slow.Unlock()
	far.Cut()
	if err := reader.back(); err != nil {
		t.Fatal(err)
	}
	tally(t, "out", 2, n, reader.hears(t, 2*n))
}

// TestEndsInOrder: what comes at QoS 1 is acknowledged behind the handshakes that began before it.
func TestEndsInOrder(t *testing.T) {
	t.Parallel()
	const n = 100
	r := newRig(t, servers.MosquittoConfig{MaxQueued: 100000})
	var mu sync.Mutex // guards came, ended
	var came, ended []uint16
	r.trap.set(func(p proxy.Packet) proxy.Verdict {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case p.Dir == proxy.Down && p.Type == proxy.PUBLISH && p.QoS() > 0:
			came = append(came, p.ID)
		case p.Dir == proxy.Up && (p.Type == proxy.PUBACK || p.Type == proxy.PUBCOMP):
			ended = append(ended, p.ID)
		}
		return proxy.Pass
	})
	l := start(t, r.m, r.cfg)
	l.up(t)
	var sent []mqtt.Token
	for i := range n {
		qos := 1 + i%2
		sent = append(sent, r.p.Publish("/chat/1001", byte(qos), false, body(fmt.Sprint("QoS ", qos), i/2)))
		if i >= 8 {
			finish(t, sent[i-8]) // above its limit the broker loses what it has acknowledged
		}
	}
	l.eventually(t, "all ended", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(ended) == n
	})
	if !slices.Equal(came, ended) {
		t.Errorf("came  %d\nended %d", came, ended)
	}
	tally(t, "in", 2, n/2, bodies(r.m))
}

// TestUnendedHandshake: a broker that forgets a PUBREL does not stop the mail behind it.
func TestUnendedHandshake(t *testing.T) {
	t.Parallel()
	r := newRig(t, servers.MosquittoConfig{})
	l := start(t, r.m, r.cfg)
	l.up(t)
	r.trap.set(once(proxy.Down, proxy.PUBREL, proxy.Drop, nil))
	began := time.Now()
	finish(t, r.p.Publish("/chat/1001", 2, false, body("y", 0)))
	finish(t, r.p.Publish("/chat/1001", 1, false, body("y", 1)))
	l.eventually(t, "acknowledged", func() bool { return r.trap.count(proxy.Up, proxy.PUBACK) == 1 })
	if d := time.Since(began); d < holdLimit || d > 3*holdLimit {
		t.Errorf("after %v", d)
	}
	tally(t, "in", 1, 2, bodies(r.m))
}

func TestTurns(t *testing.T) {
	t.Parallel()
	end := func(id byte) []byte { return []byte{0x40, 2, 0, id} }
	ids := func(ps [][]byte) (out string) {
		for _, p := range ps {
			out += string('0' + rune(p[3]))
		}
		return out
	}
	now := time.Now()
	var line turns
	for id := range uint16(6) {
		line.await(id)
	}
	for _, step := range []struct {
		id   byte
		want string
	}{{2, ""}, {1, ""}, {9, "9"}, {0, "012"}, {4, ""}, {4, "4"}} {
		if got := ids(line.end(end(step.id), now)); got != step.want {
			t.Errorf("%d lets out %q, want %q", step.id, got, step.want)
		}
	}
	if got := ids(line.late(now.Add(holdLimit))); got != "" {
		t.Errorf("%q is early", got)
	}
	line.await(6)
	if got := ids(line.late(now.Add(holdLimit + 1))); got != "4" {
		t.Errorf("%q is late", got)
	}
	if got := ids(line.end(end(5), now)) + ids(line.end(end(6), now)); got != "56" || len(line) != 0 {
		t.Errorf("%q, and %d are left", got, len(line))
	}
	line.await(7)
	line.await(8)
	line.end(end(8), now)
	if got := ids(line.take(-1)); got != "8" || len(line) != 0 {
		t.Errorf("%q at the end, and %d are left", got, len(line))
	}
}

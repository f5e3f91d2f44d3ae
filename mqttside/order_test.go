package mqttside

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/test/proxy"
	"chatrelay/test/servers"
)

// TestBehindABacklog is for a reader who is slow to end QoS 2 handshakes and has a backlog longer than the broker's
// in-flight limit. Were notices at QoS 1, Mosquitto 2.0.11 would send the newest messages ahead of what waits.
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
		r.m.Add(bridge.KindInbox, "1001", "2001", body("x", i))
		r.m.Add(bridge.KindNotice, "1001", "2001", body("notice", i))
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

// TestEndsInOrder: what comes at QoS 1 is acknowledged behind the handshakes that began before it, also where these
// are resumed.
func TestEndsInOrder(t *testing.T) {
	t.Parallel()
	const n = 200
	r := newRig(t, servers.MosquittoConfig{MaxQueued: 100000})
	var mu sync.Mutex // guards open, came, ended
	open := map[int]map[uint16]bool{}
	came, ended := map[int][]uint16{}, map[int][]uint16{} // by connection
	r.trap.set(func(p proxy.Packet) proxy.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if open[p.Conn] == nil {
			open[p.Conn] = map[uint16]bool{}
		}
		first := !open[p.Conn][p.ID]
		switch {
		case p.Dir == proxy.Down && (p.Type == proxy.PUBLISH && p.QoS() > 0 || p.Type == proxy.PUBREL) && first:
			came[p.Conn] = append(came[p.Conn], p.ID)
			open[p.Conn][p.ID] = true
		case p.Dir == proxy.Up && (p.Type == proxy.PUBACK || p.Type == proxy.PUBCOMP):
			ended[p.Conn] = append(ended[p.Conn], p.ID)
			delete(open[p.Conn], p.ID)
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
		if i%40 == 20 {
			r.link.Cut()
		}
	}
	r.m.Until(t, "all taken", takenN(n))
	l.eventually(t, "no packet waits", func() bool { k := l.current(); return k != nil && k.alive() && !k.conn.Holds() })
	mu.Lock()
	defer mu.Unlock()
	for c, got := range ended {
		if want := came[c]; len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("connection %d\ncame  %d\nended %d", c, want, got)
		}
	}
	tally(t, "in", 2, n/2, bodies(r.m))
}

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
	l.eventually(t, "no packet waits", func() bool { k := l.current(); return k != nil && k.alive() && !k.conn().holds() })
	mu.Lock()
	defer mu.Unlock()
	for c, got := range ended {
		if want := came[c]; len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("connection %d\ncame  %d\nended %d", c, want, got)
		}
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
	finish(t, r.p.Publish("/chat/1001", 2, false, body("y", 0)))
	finish(t, r.p.Publish("/chat/1001", 1, false, body("y", 1)))
	w := l.current().conn()
	l.eventually(t, "its PUBACK waits", w.holds)
	w.skipStalled(time.Now().Add(holdLimit - time.Second))
	if !w.holds() {
		t.Error("too early")
	}
	w.skipStalled(time.Now().Add(holdLimit + time.Second))
	l.eventually(t, "acknowledged", func() bool { return r.trap.count(proxy.Up, proxy.PUBACK) == 1 })
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
	await := func(ids ...uint16) {
		for _, id := range ids {
			line.await(id, now)
		}
	}
	ends := func(id byte, want string) {
		t.Helper()
		if got := ids(line.end(end(id), now)); got != want {
			t.Errorf("%d lets out %q, want %q", id, got, want)
		}
	}
	relents := func(after time.Duration, want string) {
		t.Helper()
		if got := ids(line.skipStalled(now.Add(after))); got != want {
			t.Errorf("after %v %q is let out, want %q", after, got, want)
		}
	}
	await(0, 1, 2, 2, 3, 4, 5)
	ends(2, "")
	ends(1, "")
	ends(9, "9") // never seen
	ends(0, "012")
	relents(holdLimit+1, "") // nobody waits
	ends(4, "")
	await(6)
	ends(6, "")
	relents(holdLimit, "")
	relents(holdLimit+1, "4") // 3 is given up; 5 is first now
	relents(holdLimit+1, "")
	ends(3, "3")
	ends(5, "56")
	if line.holds() || len(line.line) != 0 {
		t.Errorf("%d are left", len(line.line))
	}
}

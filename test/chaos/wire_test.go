package chaos

import (
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"chatrelay/test/proxy"
	"chatrelay/test/stage"
)

// proxies stand before both servers and know nothing of what they carry.
func proxies(r *trial, s *stage.Stage) map[string]string {
	r.mp, r.xp = proxy.New(r.t, s.MQTT.Addr), proxy.New(r.t, s.XMPP.Addr)
	return map[string]string{"MQTT_URL": "tcp://" + r.mp.Addr(), "XMPP_ADDR": r.xp.Addr()}
}

// tlsProxies are the same with TLS on MQTT too.
func tlsProxies(r *trial, s *stage.Stage) map[string]string {
	r.mp, r.xp = proxy.New(r.t, s.MQTT.TLSAddr), proxy.New(r.t, s.XMPP.Addr)
	return map[string]string{"MQTT_URL": "ssl://" + r.mp.Addr(), "MQTT_CA_FILE": s.MQTT.CAFile, "XMPP_ADDR": r.xp.Addr()}
}

// cuts resets connections, one side's or the other's or both, at any time after messages flow again.
func cuts(r *trial) { r.cuts(length(300, 25)) }

func fewCuts(r *trial) { r.cuts(length(60, 10)) }

func (r *trial) cuts(n int) {
	for i := range n {
		r.cut(i)
		r.flowing(r.heals[len(r.heals)-1])
		r.pause(time.Duration(rand.IntN(400)) * time.Millisecond)
	}
	r.note("%d cuts", n)
}

// rudeCuts do not wait: they fall into the resumption from the one before too.
func rudeCuts(r *trial) {
	n := length(100, 25)
	for i := range n {
		r.cut(i)
		r.heals = r.heals[len(r.heals)-1:] // most are followed by the next before all is well
		r.pause(time.Duration(rand.IntN(600)) * time.Millisecond)
	}
	r.note("%d cuts", n)
}

func (r *trial) cut(i int) {
	if i%3 != 1 {
		r.mp.Cut()
	}
	if i%3 != 0 {
		r.xp.Cut()
	}
	r.healed()
}

// scissors cut a connection at one packet.
type scissors struct {
	mu   sync.Mutex // guards both
	want *snip
	cut  chan struct{} // closed when it is done
}

type snip struct {
	dir     proxy.Direction
	kind    byte
	verdict proxy.Verdict
	after   int // so many more packets of the kind pass first
}

func (c *scissors) filter(p proxy.Packet) proxy.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want == nil || p.Dir != c.want.dir || p.Type != c.want.kind {
		return proxy.Pass
	}
	if c.want.after > 0 {
		c.want.after--
		return proxy.Pass
	}
	v := c.want.verdict
	c.want = nil
	close(c.cut)
	return v
}

func (c *scissors) arm(s snip) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want, c.cut = &s, make(chan struct{})
	return c.cut
}

// frameProxy stands before the broker and sees packets.
func frameProxy(r *trial, s *stage.Stage) map[string]string {
	r.frames = &scissors{}
	r.mp = proxy.NewMQTT(r.t, s.MQTT.Addr, r.frames.filter)
	return map[string]string{"MQTT_URL": "tcp://" + r.mp.Addr()}
}

// frameCuts cuts right before and right after each kind of packet, in each direction.
func frameCuts(r *trial) {
	n := 0
	for range length(5, 1) {
		for _, kind := range []byte{proxy.PUBLISH, proxy.PUBREC, proxy.PUBREL, proxy.PUBCOMP} {
			for _, dir := range []proxy.Direction{proxy.Up, proxy.Down} {
				for _, v := range []proxy.Verdict{proxy.CutBefore, proxy.CutAfter} {
					done := r.frames.arm(snip{dir, kind, v, rand.IntN(30)})
					select {
					case <-done:
					case <-time.After(stillness):
						r.t.Errorf("packet type %d never went %v", kind, dir)
					}
					r.healed()
					r.recovered(r.heals[len(r.heals)-1])
					n++
				}
			}
		}
	}
	r.note("%d cuts", n)
}

// tap notes what the relay published and what of it the broker answered, on whatever connection.
type tap struct {
	mu        sync.Mutex // guards all
	ids       map[uint16]string
	published map[string]int  // how often
	answered  map[string]bool // it is in the broker's hands (MQTT-4.3.2, 4.3.3)
}

func (t *tap) filter(p proxy.Packet) proxy.Verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	var e stage.Envelope
	switch {
	case p.Dir == proxy.Up && p.Type == proxy.PUBLISH && p.QoS() > 0 && json.Unmarshal(p.Payload, &e) == nil:
		id := e.About()
		if e.Notice() {
			id = noticeOf(id)
		}
		t.ids[p.ID] = id
		t.published[id]++
	case p.Dir == proxy.Down && (p.Type == proxy.PUBACK || p.Type == proxy.PUBREC):
		t.answered[t.ids[p.ID]] = true
	}
	return proxy.Pass
}

// noticeOf is the id of the last notice for a message; "delayed" is not in the rows that are tapped.
func noticeOf(id string) string { return "notice " + id }

func (t *tap) times(id string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.published[id]
}

// taken tells whether the broker answered for a message.
func (t *tap) taken(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.answered[id]
}

// tapped listens before the broker.
func tapped(r *trial, s *stage.Stage) map[string]string {
	r.tap = &tap{ids: map[uint16]string{}, published: map[string]int{}, answered: map[string]bool{}}
	r.mp = proxy.NewMQTT(r.t, s.MQTT.Addr, r.tap.filter)
	return map[string]string{"MQTT_URL": "tcp://" + r.mp.Addr()}
}

// chosen are the proxies a fault is about.
func (r *trial) chosen(mqtt, xmpp bool) []*proxy.Proxy {
	var out []*proxy.Proxy
	if mqtt {
		out = append(out, r.mp)
	}
	if xmpp {
		out = append(out, r.xp)
	}
	return out
}

const outage = 15 * time.Second // longer than it takes to notice

// blackhole swallows everything for a while.
func blackhole(mqtt, xmpp bool) func(*trial) {
	return func(r *trial) {
		for _, p := range r.chosen(mqtt, xmpp) {
			p.Blackhole(true)
		}
		r.pause(outage)
		for _, p := range r.chosen(mqtt, xmpp) {
			p.Blackhole(false)
		}
		r.healed()
	}
}

// halfOpen makes the server's end go without a word; the relay has to notice by itself.
func halfOpen(mqtt, xmpp bool) func(*trial) {
	return func(r *trial) {
		began := time.Now()
		for _, p := range r.chosen(mqtt, xmpp) {
			p.HalfOpen()
		}
		r.pause(2 * time.Second) // for what was under way
		r.recovered(began.Add(2 * time.Second))
		took, _ := r.o.Recovery(began.Add(2 * time.Second))
		took += 2 * time.Second
		r.note("noticed and back in %.1f s", took.Seconds())
	}
}

// stalled reads nothing for a while: the relay does not (true), or the server does not.
func stalled(relay, mqtt, xmpp bool) func(*trial) {
	d := proxy.Up
	if relay {
		d = proxy.Down
	}
	return func(r *trial) {
		for _, p := range r.chosen(mqtt, xmpp) {
			p.Stall(d, true)
		}
		r.pause(outage)
		for _, p := range r.chosen(mqtt, xmpp) {
			p.Stall(d, false)
		}
		r.healed()
	}
}

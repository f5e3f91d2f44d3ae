package chaos

import (
	"math/rand/v2"
	"time"
)

// away is how long a server is down.
const away = 2 * time.Second

// server is what ends and starts again.
type server interface {
	Stop() error
	Kill() error
	Start() error
}

// outages ends servers and starts them again, in the order given.
func (r *trial) outages(kill bool, n int, all ...server) {
	r.t.Helper()
	for range n {
		for _, s := range all {
			if kill {
				r.check("kill", s.Kill())
			} else {
				r.check("stop", s.Stop())
			}
		}
		r.say("servers are down")
		r.pause(away)
		for _, s := range all {
			r.check("start", s.Start())
		}
		r.healed()
		r.recovered(r.heals[len(r.heals)-1])
		r.pause(time.Second)
	}
}

func broker(kill bool) func(*trial) {
	return func(r *trial) { r.outages(kill, length(3, 1), r.s.MQTT) }
}

func xmpp(kill bool) func(*trial) {
	return func(r *trial) { r.outages(kill, length(3, 1), r.s.XMPP) }
}

// xmppAndRelay kills the relay while it takes from the archive what came when the server was away.
func xmppAndRelay(r *trial) {
	n := length(15, 2)
	for range n {
		r.check("kill", r.s.XMPP.Kill())
		r.pause(time.Second)
		r.check("start", r.s.XMPP.Start())
		r.pause(time.Duration(rand.IntN(1000)) * time.Millisecond)
		r.s.Relay.Kill()
		r.healed()
		r.s.Relay.Launch()
		r.recovered(r.heals[len(r.heals)-1])
		r.pause(500 * time.Millisecond)
	}
	r.note("%d kills of each", n)
}

// both takes both away, and brings them back in either order.
func both(kill bool) func(*trial) {
	return func(r *trial) {
		r.outages(kill, 1, r.s.MQTT, r.s.XMPP)
		r.outages(kill, 1, r.s.XMPP, r.s.MQTT)
	}
}

// soak has all of it over one journal: the relay is killed twenty times, each server is restarted eight times between.
func soak(r *trial) {
	for i := range 20 {
		r.pause(time.Duration(2000+rand.IntN(1000)) * time.Millisecond)
		r.s.Relay.Kill()
		r.healed()
		r.s.Relay.Launch()
		r.recovered(r.heals[len(r.heals)-1])
		switch i % 5 {
		case 0, 2:
			r.outages(false, 1, r.s.MQTT)
		case 1, 3:
			r.outages(false, 1, r.s.XMPP)
		}
	}
	r.note("20 relay kills, 8 restarts of each server")
}

package chaos

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// steps are the fail points of package relay that a load passes on both sides.
func steps() []string {
	return []string{"receive", "append", "appended", "ack", "acked", "next", "send", "sent", "bind", "bound", "committed", "close", "closed"}
}

// failPoints kills the relay in each step, once on each side (three times in full), and then once more.
func failPoints(r *trial) {
	points := []string{"mqtt.notice", "mqtt.state"}
	for _, s := range steps() {
		points = append(points, "mqtt."+s, "xmpp."+s)
	}
	died := 0
	for round := range length(3, 1) {
		for _, p := range points {
			k := 1 + rand.IntN(60*(round+1))
			r.s.Relay.Kill()
			r.s.Relay.Besides["CHAOS_POINT"] = fmt.Sprintf("%s:%d", p, k)
			r.s.Relay.Launch()
			if _, ended := r.s.Relay.Ended(4 * time.Second); !ended {
				r.note("%s was not passed %d times in 4 s", p, k)
				continue
			}
			r.say("killed at %s:%d", p, k)
			died++
		}
	}
	r.note("%d kills at %d points", died, len(points))
	if died < len(points)*length(3, 1)/2 {
		r.t.Errorf("it died at %d of %d points", died, len(points)*length(3, 1))
	}
	r.s.Relay.Kill()
	delete(r.s.Relay.Besides, "CHAOS_POINT")
	r.catchUp()
	r.s.Relay.Kill()
	r.healed()
	r.s.Relay.Launch()
}

// catchUp starts the relay and lets what gathered while it died come through.
func (r *trial) catchUp() {
	r.t.Helper()
	gathered, began := r.o.UnderWay(), time.Now()
	r.s.Relay.Start()
	r.recovered(began)
	took, ok := r.o.Recovery(began)
	r.note("%d messages had gathered, and were through %.2f s after the start", gathered, took.Seconds())
	if !ok || took > length(afterHeal, 5*afterHeal) {
		r.t.Errorf("what had gathered took %v, want %v", took, afterHeal)
	}
	r.pause(time.Second)
}

// randomKills kills the relay and starts it at once; the next kill comes at any time after messages flow again.
func randomKills(r *trial) {
	n := length(100, 10)
	for range n {
		r.pause(time.Duration(rand.IntN(500)) * time.Millisecond)
		r.s.Relay.Kill()
		r.say("killed")
		r.healed()
		r.s.Relay.Launch()
		r.recovered(r.heals[len(r.heals)-1])
	}
	r.note("%d kills", n)
}

func terminate(r *trial) {
	for range length(5, 1) {
		began := time.Now()
		r.s.Relay.Stop()
		r.note("stopped in %.1f s", time.Since(began).Seconds())
		r.healed()
		r.s.Relay.Launch()
		r.recovered(r.heals[len(r.heals)-1])
	}
}

func freeze(r *trial) {
	r.check("SIGSTOP", r.s.Relay.Signal(syscall.SIGSTOP))
	r.pause(20 * time.Second)
	r.check("SIGCONT", r.s.Relay.Signal(syscall.SIGCONT))
	r.healed()
}

// second starts another relay on the same journal: it must refuse, and harm nothing.
func second(r *trial) {
	twin := r.s.Relay.Twin()
	twin.Launch()
	err, ended := twin.Ended(10 * time.Second)
	if !ended || err == nil {
		r.t.Errorf("the second instance: ended %v, %v; want it to refuse", ended, err)
	}
	r.pause(time.Second)
}

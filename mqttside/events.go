package mqttside

import (
	"hash/maphash"
	"sync"

	"chatrelay/bridge"
)

// Ephemeral publishes an event at QoS 0: it takes no packet id, and nothing waits for it. It implements bridge.Ephemeral.
func (s *Side) Ephemeral(e bridge.Event) {
	topic, why := s.topic(e.Recipient())
	s.mu.Lock()
	k := s.live
	s.mu.Unlock()
	if why != nil || k == nil || k.conn.Crowded() {
		return
	}
	s.inbox.published.add(topic, e.Body)
	_ = k.conn.Publish(topic, e.Body, false) // a connection that has closed loses it
}

// mostPublished is how many events are remembered until they come back: they do at once, or not at all.
const mostPublished = 512

// published is what went out at QoS 0. It comes back where the broker knows neither No Local nor the bridge bit, and must not be taken
// for what a device says. It may be used from any goroutine.
type published struct {
	mu   sync.Mutex // guards all below
	seed maphash.Seed
	ring [mostPublished]uint64 // of 0: nothing
	next int
}

// sum is never 0.
func (a *published) sum(topic string, payload []byte) uint64 {
	if a.seed == (maphash.Seed{}) {
		a.seed = maphash.MakeSeed()
	}
	var h maphash.Hash
	h.SetSeed(a.seed)
	_, _ = h.WriteString(topic + "\x00") // a hash never errs
	_, _ = h.Write(payload)
	return h.Sum64() | 1
}

func (a *published) add(topic string, payload []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ring[a.next] = a.sum(topic, payload)
	a.next = (a.next + 1) % mostPublished
}

// take tells, once for each time that it was added, whether that has come back.
func (a *published) take(topic string, payload []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := a.sum(topic, payload)
	for i, one := range a.ring {
		if one == sum {
			a.ring[i] = 0
			return true
		}
	}
	return false
}

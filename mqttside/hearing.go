package mqttside

import (
	"context"
	"sync"
	"time"
)

// party is an end of a probe's way: a connection of ours to the broker.
type party interface {
	// say publishes at QoS 0.
	say(topic string, payload []byte) error
	// fence waits until the broker has answered what was said before, and had read it then: it answers a ping.
	fence(ctx context.Context) error
	// expect gives a channel that is closed when a probe with the nonce comes, until forget.
	expect(n nonce) <-chan struct{}
	forget(n nonce)
}

// leastGrace is how long a probe may take behind the answer to a ping that was sent after it. In one process it comes
// before that answer; where brokers are many it may come later.
const leastGrace = 300 * time.Millisecond

// hears tells whether a probe of a length comes from one party to the other. It is said again until the limit is
// over, as at QoS 0 a broker may drop it under load. It is not heard only if the broker meanwhile shows that it works:
// it answers pings on both ways. An error: it could not be found out.
func hears(ctx context.Context, from, to party, topic string, length int, limit time.Duration) (bool, error) {
	n := newNonce()
	heard := to.expect(n)
	defer to.forget(n)
	body := probeBody(n, length)
	end := time.Now().Add(limit)
	for {
		if err := from.say(topic, body); err != nil {
			return false, err
		}
		ok, err := comes(ctx, from, to, heard, max(leastGrace, limit/3))
		if ok || err != nil {
			return ok, err
		}
		if time.Now().Add(leastGrace / 2).After(end) {
			return false, nil
		}
	}
}

// comes waits for a probe as long as the broker takes to answer pings behind it, and the grace.
func comes(ctx context.Context, from, to party, heard <-chan struct{}, grace time.Duration) (bool, error) {
	var wg sync.WaitGroup
	defer wg.Wait() // behind cancel
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fenced := make(chan error, 1)
	wg.Go(func() {
		err := from.fence(ctx)
		if err == nil && from != to {
			err = to.fence(ctx)
		}
		fenced <- err
	})
	late := time.NewTimer(grace)
	defer late.Stop()
	for passed := false; ; {
		select {
		case <-heard:
			return true, nil
		case err := <-fenced:
			if err != nil {
				return false, err
			}
			passed, fenced = true, nil
			late.Reset(grace)
		case <-late.C:
			if passed {
				return false, nil
			}
		}
	}
}

// echoes are the probes that a party waits for.
type echoes struct {
	mu      sync.Mutex // guards waiting
	waiting map[nonce]chan struct{}
}

func (e *echoes) expect(n nonce) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting == nil {
		e.waiting = map[nonce]chan struct{}{}
	}
	c := make(chan struct{})
	e.waiting[n] = c
	return c
}

func (e *echoes) forget(n nonce) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.waiting, n)
}

// hear takes in a probe. One that nobody waits for is somebody else's, or late.
func (e *echoes) hear(payload []byte) {
	n, ok := parseProbe(payload)
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.waiting[n]; c != nil {
		close(c)
		delete(e.waiting, n)
	}
}

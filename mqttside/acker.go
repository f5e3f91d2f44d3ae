package mqttside

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

// acker is the only caller of Conn.Ack. The journal's verdicts are only put down here (its writer must not
// wait); one goroutine acts on them.
type acker struct {
	s    *Side
	wake wait.Signal

	mu       sync.Mutex // guards all below
	verdicts []verdict
	order    map[*link][]*item // offered, in order of arrival (MQTT-4.6.0-2, -3)
}

// errStopped: never offered, for the side stops.
var errStopped = errors.New("mqtt: stopping")

type verdict struct {
	i   *item
	err error
}

func newAcker(s *Side) *acker {
	return &acker{s: s, wake: wait.NewSignal(), order: map[*link][]*item{}}
}

// await books an item that will have a verdict.
func (a *acker) await(i *item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order[i.k] = append(a.order[i.k], i)
}

// push puts down a verdict. It never waits.
func (a *acker) push(i *item, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verdicts = append(a.verdicts, verdict{i, err})
	a.wake.Set()
}

// run acts on verdicts until ctx ends.
func (a *acker) run(ctx context.Context) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		a.mu.Lock()
		got := a.verdicts
		a.verdicts = nil
		a.mu.Unlock()
		for _, v := range got {
			a.settle(v.i, v.err)
		}
	}
}

func (a *acker) settle(i *item, err error) {
	var refusal *bridge.Refusal
	if errors.As(err, &refusal) {
		err = nil // refused for good and counted: acknowledged
	}
	if i.row != nil {
		a.s.session.Received.Close(i.p.PacketID, i.row, err)
	}
	switch {
	case err == nil:
		i.good = true
	case errors.Is(err, bridge.ErrFull):
		i.k.refuse("the journal is full")
	case errors.Is(err, errStopped):
		i.k.refuse("stopping")
	default:
		i.k.fail(fmt.Errorf("an offer failed: %w", err))
	}
	i.settled = true
	for _, ready := range a.ready(i.k) {
		if ready.good {
			ready.k.conn.Ack(ready.p)
		}
		a.s.letGo(ready)
	}
}

// ready takes the items at the head of a link's line that are settled.
func (a *acker) ready(k *link) []*item {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := a.order[k]
	n := 0
	for n < len(line) && line[n].settled {
		n++
	}
	if n == len(line) {
		delete(a.order, k)
	} else {
		a.order[k] = line[n:]
	}
	return line[:n]
}

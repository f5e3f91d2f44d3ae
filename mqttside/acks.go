package mqttside

import (
	"errors"
	"fmt"
	"sync"

	"chatrelay/bridge"
)

// errStopped: never offered, for the side stops.
var errStopped = errors.New("mqtt: stopping")

// ackLine is what is offered of a connection, in order of arrival: it is acknowledged in that order (MQTT-4.6.0-2, -3).
type ackLine struct {
	mu   sync.Mutex // guards line, and held while packets are put in line
	line []*item
}

// await books an item that will have a verdict.
func (a *ackLine) await(i *item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.line = append(a.line, i)
}

// settle takes in a verdict, and acknowledges what stands at the head of the line and has one. It returns that.
func (a *ackLine) settle(i *item, good bool) (done []*item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i.settled, i.good = true, good
	n := 0
	for ; n < len(a.line) && a.line[n].settled; n++ {
		if ready := a.line[n]; ready.good {
			ready.k.conn.Ack(ready.p)
		}
	}
	done, a.line = a.line[:n], a.line[n:]
	return done
}

// decided acts on what became of an offer. It never waits, and is called from any goroutine.
func (i *item) decided(err error) {
	s := i.k.s
	var refusal *bridge.Refusal
	if errors.As(err, &refusal) {
		err = nil // refused for good and counted: acknowledged
	}
	if i.row != nil {
		s.session.Received.Close(i.p.PacketID, i.row, err)
	}
	switch {
	case err == nil:
	case errors.Is(err, bridge.ErrFull):
		i.k.refuse("the journal is full")
	case errors.Is(err, errStopped):
		i.k.refuse("stopping")
	default:
		i.k.refuse("an offer failed")
		i.k.doom(fmt.Errorf("an offer failed: %w", err))
	}
	for _, ready := range i.k.acks.settle(i, err == nil) {
		ready.letGo()
	}
}

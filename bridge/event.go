package bridge

import (
	"sync"
	"time"

	"chatrelay/message"
)

// Event is something of the moment that one side tells the other: worth nothing later, never in the journal.
type Event struct {
	message.Event
	Body []byte // the same as a notice
}

// Ephemeral is a Side that passes events on.
type Ephemeral interface {
	// Ephemeral puts an event on the wire, or drops it where it is down or busy. It never waits, and may be called from any
	// goroutine.
	Ephemeral(e Event)
}

// EventInlet is an Inlet that takes events as such, where the wire knows them from messages.
type EventInlet interface {
	// Pass has the other side told, if it is wanted. It never waits, and may be called from any goroutine.
	Pass(e message.Event)
}

// events judges what is passed on of one side.
type events struct {
	to       Ephemeral // nil: nobody
	wanted   func(status string) bool
	landline func(string) bool
	may      func(from, to string) bool
	clock    func() time.Time

	mu    sync.Mutex // guards limit
	limit *limiter
}

func newEvents(c *IntakeConfig) *events {
	v := &events{to: c.Events, landline: c.Rules.Landline, may: c.May, clock: c.Clock, limit: newLimiter(c.Clock)}
	if v.landline == nil {
		v.landline = message.DefaultLandline
	}
	v.wanted = func(string) bool { return true } // a device says of itself what people are to see
	if n := c.Notices; c.Side == XMPP {
		v.wanted = func(status string) bool {
			switch status {
			case message.StatusReceived:
				return n.Received
			case message.StatusRead:
				return n.Read
			}
			return n.Typing
		}
	}
	return v
}

// pass implements EventInlet. Each of whom it tells may say ten things a second.
func (v *events) pass(e message.Event) {
	if v.to == nil || !v.wanted(e.Status) || !v.landline(e.From) || !v.landline(e.To) || !v.may(e.Actor(), e.Recipient()) {
		return
	}
	v.mu.Lock()
	allowed := v.limit.allow(e.Actor())
	v.mu.Unlock()
	if allowed {
		v.to.Ephemeral(Event{e, e.Notice(v.clock())})
	}
}

// Pass implements EventInlet.
func (i *Intake) Pass(e message.Event) { i.events.pass(e) }

// hears passes on the event that a notice on an inbox is: who writes there tells the one whose it is. True: that is all that was due,
// as the wire remembers nothing of it (MQTT at QoS 0).
func (i *Intake) hears(in *Inbound) bool {
	if i.events.to == nil || i.side != MQTT {
		return false
	}
	e, ok := message.EventOf(in.Body)
	if !ok || e.Recipient() != in.To {
		return false
	}
	i.events.pass(e)
	if len(in.State) > 0 {
		return false
	}
	in.Ack(nil)
	return true
}

package session

import (
	"errors"
	"time"
)

// read acts on what comes until the connection ends.
func (c *Conn) read() {
	for {
		p, err := c.in.next()
		if err == nil {
			select {
			case <-c.closed: // what the old connection said does not count on the next one
				return
			default:
			}
			err = c.act(&p)
		}
		if err != nil {
			c.end(err, !errors.As(err, new(Breach)) && !timedOut(err))
			return
		}
	}
}

// act takes in one packet (MQTT-2.2.1).
func (c *Conn) act(p *packet) error {
	switch p.kind {
	case kindPublish:
		if p.QoS > 0 && c.session != nil {
			c.await(p.PacketID)
		}
		c.o.Handler.Received(&p.Publish)
	case kindPuback, kindPubrec, kindPubcomp:
		c.moved.Store(true)
		c.pace.answered(int64(p.id))
		if c.session == nil {
			return nil
		}
		return c.session.tell(c, p)
	case kindPubrel:
		c.moved.Store(true)
		if c.session == nil { // the id may be in the journal of the session's owner: it is he who says that it is free
			return nil
		}
		c.await(p.id)
		c.session.Received.release(c, p.id)
		c.endMessage(kindPubcomp, p.id)
	case kindSuback, kindUnsuback:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.requests.answered(p)
	case kindPingresp:
		c.pace.answered(-int64(c.pings.answer()))
	case kindDisconnect:
		if c.o.Level != Level5 {
			return breachf("a packet of type %d, which no broker sends", p.kind)
		}
		return Ended{p.code, p.reason}
	case kindConnack:
		return breachf("a second CONNACK") // MQTT-3.2.0-2
	default:
		return breachf("a packet of type %d, which no broker sends", p.kind)
	}
	return nil
}

// tell tells the user what the broker has decided.
func (s *Session) tell(c *Conn, p *packet) error {
	a, err := s.answered(c, p)
	if !a.decided {
		return err
	}
	c.o.Handler.Answered(a.Answer)
	if a.downgraded {
		c.o.Handler.Downgraded()
	}
	c.o.Handler.Changed()
	return nil
}

// await: a message has come that is to be ended, behind what came before it.
func (c *Conn) await(id uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order.await(id, time.Now())
}

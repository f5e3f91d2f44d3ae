package clients

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net"
)

const nsSM = "urn:xmpp:sm:3"

var errCount = errors.New("clients: xmpp: the server acknowledges more than it was sent")

// message is one stanza on its way to the server.
type counted struct {
	raw   string
	taken func() // nil: not repeated on the next login
}

// managed is the state of XEP-0198. There is no resumption: an unacknowledged message is simply sent again.
type managed struct {
	in, acked uint32    // stanzas heard; stanzas that the server has acknowledged. Of this login
	flying    []counted // in order, not acknowledged
	repeated  int
}

// Deliver sends a message as soon as there is a login and calls taken, which may not call the client, when
// the server has acknowledged it. What is not acknowledged when a connection ends is sent again on the next,
// in order and before anything new. It needs SM.
func (c *XMPP) Deliver(to, typ, id, body string, taken func()) {
	raw := fmt.Sprintf("<message to='%s' type='%s' id='%s'><body>%s</body></message>", Escape(to), Escape(typ), Escape(id), Escape(body))
	c.mu.Lock()
	defer c.mu.Unlock()
	l := counted{raw: raw, taken: taken}
	if c.conn == nil {
		c.sm.flying = append(c.sm.flying, l) // repeat writes it
		return
	}
	_ = c.writeCounted(l) // a lost connection is seen by the reader
}

// Repeated is how many messages were sent again on a new login.
func (c *XMPP) Repeated() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sm.repeated
}

// writeCounted needs the lock.
func (c *XMPP) writeCounted(l counted) error {
	c.sm.flying = append(c.sm.flying, l)
	return c.write(l.raw + "<r xmlns='" + nsSM + "'/>")
}

// enable turns stream management on, after bind.
func enable(conn net.Conn, dec *xml.Decoder) error {
	return ask(conn, dec, "<enable xmlns='"+nsSM+"'/>", "enabled")
}

// repeat starts a login's counts and sends what no earlier one got acknowledged. It needs the lock.
func (c *XMPP) repeat() error {
	old := c.sm.flying
	c.sm.in, c.sm.acked, c.sm.flying = 0, 0, nil
	for i, l := range old {
		if l.taken == nil {
			continue
		}
		c.sm.repeated++
		if err := c.writeCounted(l); err != nil {
			c.sm.flying = append(c.sm.flying, old[i+1:]...)
			return err
		}
	}
	return nil
}

// heard counts a stanza.
func (c *XMPP) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sm.in++
}

// managed handles an element of stream management.
func (c *XMPP) managed(dec *xml.Decoder, start xml.StartElement) error {
	var e struct {
		H uint32 `xml:"h,attr"`
	}
	if err := dec.DecodeElement(&e, &start); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch start.Name.Local {
	case "r":
		return c.write(fmt.Sprintf("<a xmlns='%s' h='%d'/>", nsSM, c.sm.in))
	case "a":
		n := int(e.H - c.sm.acked)
		if n > len(c.sm.flying) {
			return errCount
		}
		for _, l := range c.sm.flying[:n] {
			if l.taken != nil {
				l.taken()
			}
		}
		c.sm.flying, c.sm.acked = c.sm.flying[n:], e.H
	}
	return nil
}

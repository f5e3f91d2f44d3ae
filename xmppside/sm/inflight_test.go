package sm

import "testing"

// TestInFlight: what the server may not have read yet is bounded. Its answer lets the next stanza go.
func TestInFlight(t *testing.T) {
	st := New(Config{InFlight: 1}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	f.until("id='a'")
	f.expect("<r ")
	c.send("b")
	f.write("<r xmlns='urn:xmpp:sm:3'/>")
	f.expect("<a ") // not b: it is behind what is not acknowledged
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	f.until("id='b'")
}

package xmppside

import (
	"time"

	"chatrelay/xmppside/mam"
	"chatrelay/xmppside/muc"
	"chatrelay/xmppside/stanza"
)

// translator says what a stanza is, and writes a delivery as a stanza.
type translator struct {
	addr       *addresses
	rooms      *muc.Rooms
	ids        idSigner // its secret is set before the first connection
	maxMessage int
	roomTexts  bool // texts in rooms are messages, too
	texts      bool // people write and read texts, not envelopes (component)
	sent       sentIDs
	contacts   *contacts
	wishes     string // what is asked of who gets a text
}

// sentTo tells whether an id is of a stanza that we sent to an address.
func (s *translator) sentTo(id, to string) bool {
	_, ours := s.ids.ref(id, to)
	return ours
}

// stored is when our own server stored a message for us: it says so in its own name or in our account's (XEP-0203). Zero: it
// did not. A stamp without a name, or in another's, is the sender's own: he wrote it long ago, and it came now.
func (s *translator) stored(e *stanza.Element) time.Time {
	for _, d := range e.All(stanza.NSDelay, "delay") {
		if by := d.Get("from"); by == s.addr.own || by == stanza.Domain(s.addr.own) {
			at, err := time.Parse(time.RFC3339, d.Get("stamp"))
			if err != nil || at.IsZero() {
				at = time.Now()
			}
			return at
		}
	}
	return time.Time{}
}

func (s *translator) forUs(r *mam.Result) bool {
	switch r.Msg.Get("type") {
	case "chat", "normal", "":
		return s.addr.self(r.Msg.Get("to"))
	}
	return false
}

func (s *translator) asker(from string) asker {
	if who, served := s.rooms.Speaker(stanza.Bare(from), stanza.Resource(from)); served {
		return asker{from, who.Self}
	}
	return asker{name: stanza.Bare(from)}
}

package xmppside

import (
	"context"

	"chatrelay/bridge"
	"chatrelay/message"
	"chatrelay/xmppside/stanza"
)

// roomForEvents is how many may wait until they are written. More are dropped.
const roomForEvents = 256

// events passes on what is worth nothing later: who is writing (XEP-0085), who has got a message (XEP-0184) or read it (XEP-0333).
type events struct {
	s     *Side
	inlet bridge.EventInlet // nil: nobody wants them
	queue chan bridge.Event
}

func newEvents(s *Side) *events {
	return &events{s: s, queue: make(chan bridge.Event, roomForEvents)}
}

// Ephemeral implements bridge.Ephemeral.
func (s *Side) Ephemeral(e bridge.Event) {
	if !s.isLive() || !s.texts {
		return
	}
	select {
	case s.events.queue <- e:
	default:
	}
}

// write writes what comes, as long as a connection lasts. Where messages wait for the server it is dropped.
func (v *events) write(ctx context.Context, c *connection) {
	for {
		select {
		case e := <-v.queue:
			if raw := v.s.eventStanza(&e.Event); raw != nil && v.s.st.Unacked() <= announceBehind && c.Write(raw) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// hears takes a stanza that is an event, and nothing else. It is not counted, nor does it wait for what came before.
func (v *events) hears(e *stanza.Element) bool {
	if v.inlet == nil || !v.s.texts {
		return false
	}
	event, ok := v.s.eventOf(e)
	if ok {
		v.inlet.Pass(event)
	}
	return ok
}

// eventOf reads an event that a person's client sends to a landline; false: it is none, or not for one.
func (s *translator) eventOf(e *stanza.Element) (event message.Event, ok bool) {
	switch e.Get("type") {
	case "chat", "normal", "":
	default:
		return event, false
	}
	bare := stanza.Bare(e.Get("from"))
	person := s.addr.landlineOf(bare)
	landline, ok := s.addr.addressee(e.Get("to"))
	if !ok || landline == "" || person == "" || e.Child(stanza.NSClient, "body") != nil || s.rooms.Ours(bare) ||
		e.Child(stanza.NSForward, "forwarded") != nil || encrypted(e) || s.tellsWithoutBody(e) {
		return event, false
	}
	status, id := "", ""
	for _, kid := range e.Kids { // what is said of a message counts before who is writing
		switch space, name := kid.Name.Space, kid.Name.Local; {
		case name == "displayed" && space == stanza.NSMarkers:
			status, id = message.StatusRead, kid.Get("id")
		case name == "received" && (space == stanza.NSReceipts || space == stanza.NSMarkers) && status != message.StatusRead:
			status, id = message.StatusReceived, kid.Get("id")
		case space == stanza.NSStates && name != "active" && id == "":
			status = message.StatusPaused
			if name == "composing" {
				status = message.StatusTyping
			}
		}
	}
	switch {
	case status == "":
		return event, false
	case id == "":
		return message.Event{Status: status, From: person, To: landline}, status == message.StatusTyping || status == message.StatusPaused
	}
	event = message.Event{Status: status, From: landline, To: person}
	event.ID, event.Time, ok = s.ids.name(id, bare)
	return event, ok && (event.ID != "" || !event.Time.IsZero())
}

// eventStanza writes an event as a client does; nil: it cannot be said on XMPP.
func (s *translator) eventStanza(e *message.Event) []byte {
	from, why := s.addr.speaksAs(e.Actor())
	to, whyNot := s.addr.jidOf(e.Recipient())
	if why != nil || whyNot != nil || !stanza.Legal([]byte(e.ID)) {
		return nil
	}
	b := append(head(nil, from, to, "chat", ""), '>')
	switch e.Status {
	case message.StatusTyping:
		return append(b, "<composing xmlns='"+stanza.NSStates+"'/><no-store xmlns='"+stanza.NSHints+"'/></message>"...)
	case message.StatusPaused:
		return append(b, "<paused xmlns='"+stanza.NSStates+"'/><no-store xmlns='"+stanza.NSHints+"'/></message>"...)
	case message.StatusReceived:
		b = append(b, "<received xmlns='"+stanza.NSReceipts+"'"...)
	case message.StatusRead:
		b = append(b, "<displayed xmlns='"+stanza.NSMarkers+"'"...)
	}
	return append(stanza.AppendAttr(b, "id", e.ID), "/><store xmlns='"+stanza.NSHints+"'/></message>"...)
}

// wishes is what is asked of who gets a text.
func wishes(a Clients) (out string) {
	if a.Received {
		out = "<request xmlns='" + stanza.NSReceipts + "'/>"
	}
	if a.Read {
		out += "<markable xmlns='" + stanza.NSMarkers + "'/>"
	}
	return out
}

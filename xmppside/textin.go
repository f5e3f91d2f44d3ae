package xmppside

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"chatrelay/bridge"
	"chatrelay/message"
	"chatrelay/xmppside/stanza"
)

// fileType is the contentType of a file that a person sends: any but 0, which is text.
const fileType = 1

// tellsWithoutBody tells whether a stanza without a body says something to a landline all the same, or has to be refused.
func (s *translator) tellsWithoutBody(e *stanza.Element) bool {
	return s.texts && (retracts(e) != nil || reacts(e) || isURL(fileURL(e)))
}

// fileURL is the link to a file (XEP-0066); empty: none.
func fileURL(e *stanza.Element) string {
	if url := e.Child(stanza.NSOOB, "x").Child(stanza.NSOOB, "url"); url != nil {
		return url.Text
	}
	return ""
}

func retracts(e *stanza.Element) *stanza.Element { return e.Child(stanza.NSRetract, "retract") }

// reacts tells whether somebody puts a reaction to a message (XEP-0444); without one he takes it back.
func reacts(e *stanza.Element) bool {
	return e.Child(stanza.NSReactions, "reactions").Child(stanza.NSReactions, "reaction") != nil
}

// textIn makes an envelope of what a person has written to a landline's address. What is one already stays as it is.
func (s *translator) textIn(e *stanza.Element, in *bridge.Inbound, bare string, now time.Time) {
	switch {
	case reacts(e):
		in.Body, in.Refused = nil, bridge.Refuse("reaction", "reactions are not passed on to this contact: write a message")
		return
	case message.IsEnvelope(in.Body):
		return
	case in.From == "":
		in.Refused = bridge.Refuse("unknown_sender", "the sender's account is not that of a landline")
		return
	case takeContainer(e, in):
		return
	}
	t := message.Text{From: in.From, To: in.To, ID: messageID(e), Time: s.written(e, bare, now)}
	if nick := e.Child(stanza.NSNick, "nick"); nick != nil && len(nick.Text) <= message.MostID {
		t.Name = nick.Text
	}
	t.Content = s.about(e, string(in.Body), &t, bare)
	if retracts(e) != nil && t.Retracts == "" {
		in.Body, in.Refused = nil, bridge.Refuse("retraction", "the message that you take back has no name here, or is not yours: it stays")
		return
	}
	in.Body = t.Envelope()
}

// takeContainer takes the envelope beside a text (XEP-0335), if there is one whose from is the sender. Else the text counts: people know of
// nothing else.
func takeContainer(e *stanza.Element, in *bridge.Inbound) bool {
	c := e.Only(stanza.NSJSON, "json")
	if c == nil || !message.IsEnvelope([]byte(c.Text)) || message.TextOf([]byte(c.Text)).From != in.From {
		return false
	}
	in.Body = []byte(c.Text)
	return true
}

// roomTextIn makes an envelope of what a person has said in a room. What is one already stays as it is.
func (s *translator) roomTextIn(e *stanza.Element, in *bridge.Inbound, nick string, now time.Time) {
	if message.IsEnvelope(in.Body) || takeContainer(e, in) {
		return
	}
	t := message.Text{From: in.From, Room: in.Room, Name: short(nick)}
	if named := messageName(e); named != "" || s.addr.isComponent() {
		t.ID, t.Time = cmp.Or(named, rand.Text()), now
	} else if given := roomID(e, in.Room); given != "" {
		t.ID, t.Time = given, now
	} // else the server may bring it again, which the wire alone can tell
	t.Content = s.about(e, string(in.Body), &t, "")
	t.ReplyTo = "" // it is named as the room does, which devices do not know
	in.Body = t.Envelope()
}

// about fills in what a message is about, and returns what is left of its body.
func (s *translator) about(e *stanza.Element, body string, t *message.Text, bare string) string {
	if r := retracts(e); r != nil { // what else it says is for clients that do not know it (XEP-0424 §4.1)
		t.Retracts = s.own(r.Get("id"), bare)
		return ""
	}
	if c := e.Child(stanza.NSCorrect, "replace"); c != nil {
		t.Replaces = s.own(c.Get("id"), bare)
	}
	if r := e.Child(stanza.NSReply, "reply"); r != nil {
		t.ReplyTo = s.named(r.Get("id"), bare)
		body = withoutFallback(e, body, stanza.NSReply)
	}
	if url := fileURL(e); isURL(url) && (body == "" || body == url) {
		t.ContentType, body = fileType, url
	}
	return body
}

// own is what the other side calls a message of the person's own; empty: it is one that a device has sent to him, which nobody else
// corrects or takes back (XEP-0308 §5, XEP-0424 §5).
func (s *translator) own(id, bare string) string {
	if _, _, ours := s.ids.name(id, bare); ours {
		return ""
	}
	return short(id)
}

// named is what the other side calls a message: one of ours by its sender's name, or the person's own by its id.
func (s *translator) named(id, bare string) string {
	if name, _, ours := s.ids.name(id, bare); ours {
		return name
	}
	return short(id)
}

// messageID is what a message is called. One that has no name is given one: two that say the same are two, and no server brings either
// again to a component.
func messageID(e *stanza.Element) string { return cmp.Or(messageName(e), rand.Text()) }

// roomID is what a room calls a message (XEP-0359); empty: it does not say.
func roomID(e *stanza.Element, room string) string {
	for _, k := range e.All(stanza.NSStanzaID, "stanza-id") {
		if k.Get("by") == room {
			return short(k.Get("id"))
		}
	}
	return ""
}

// messageName is what a message is called by who sent it (XEP-0359); empty: it has no name.
func messageName(e *stanza.Element) string {
	if id := e.Only(stanza.NSStanzaID, "origin-id").AttrOr("id"); id != "" {
		return short(id)
	}
	return short(e.Get("id"))
}

// short makes an id as long as one may be.
func short(id string) string {
	if len(id) <= message.MostID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// written is when a message was: its sender's own server may have kept it (XEP-0203).
func (s *translator) written(e *stanza.Element, bare string, now time.Time) time.Time {
	for _, d := range e.All(stanza.NSDelay, "delay") {
		if by := d.Get("from"); by != "" && (by == bare || by == stanza.Domain(bare)) {
			if at, err := time.Parse(time.RFC3339, d.Get("stamp")); err == nil && !at.IsZero() && at.Before(now) {
				return at
			}
		}
	}
	return now
}

// withoutFallback cuts off what a body has for clients that do not know a namespace (XEP-0428): characters from start to end, or all.
func withoutFallback(e *stanza.Element, body, of string) string {
	for _, f := range e.All(stanza.NSFallback, "fallback") {
		if f.Get("for") != of {
			continue
		}
		part := f.Child(stanza.NSFallback, "body")
		if part == nil {
			continue
		}
		text := []rune(body)
		start, end := 0, len(text)
		if part.Get("start") != "" || part.Get("end") != "" {
			from, err1 := strconv.Atoi(part.Get("start"))
			to, err2 := strconv.Atoi(part.Get("end"))
			if err1 != nil || err2 != nil || from < 0 || from > to || to > len(text) {
				return body
			}
			start, end = from, to
		}
		return string(text[:start]) + string(text[end:])
	}
	return body
}

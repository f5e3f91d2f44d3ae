package message

import (
	"strconv"
	"time"
)

// Event is a notice of the moment: somebody is writing, has stopped, or has got or read a message. It is worth nothing later, and
// nobody keeps it.
type Event struct {
	Status string // one of the Status constants
	// From and To are those of the message that is meant; or who is writing, and to whom.
	From, To string
	ID       string    // of that message; empty: its sender knows it by Time alone
	Time     time.Time // zero: by ID
}

// The statuses of an Event.
const (
	StatusReceived = "received"
	StatusRead     = "read"
	StatusTyping   = "typing"
	StatusPaused   = "paused"
)

// OfMessage tells whether the event is about a message, and so told to its sender.
func (e *Event) OfMessage() bool { return e.Status == StatusReceived || e.Status == StatusRead }

// Actor is whose doing the event is, and Recipient who is to know of it.
func (e *Event) Actor() string {
	if e.OfMessage() {
		return e.To
	}
	return e.From
}

// Recipient is the other one.
func (e *Event) Recipient() string {
	if e.OfMessage() {
		return e.From
	}
	return e.To
}

// EventOf reads the event that a notice is; false: it is another one, of a group, or names nobody.
func EventOf(body []byte) (e Event, ok bool) {
	var k known
	if k.read(body) != nil || !k.isNotice() || k.repeated() != nil {
		return e, false
	}
	status, _ := text(k.raw[fStatus])
	e = Event{Status: string(status), From: partyText(k.raw[fFrom]), To: partyText(k.raw[fTo]), ID: reference(k.raw[fID])}
	if e.ID == "" {
		e.ID = reference(k.raw[fMsgID])
	}
	room, _ := text(k.raw[fGroupJID])
	switch e.Status {
	case StatusReceived, StatusRead:
		return e, len(room) == 0 && e.From != "" && e.To != "" && e.ID != ""
	case StatusTyping, StatusPaused:
		return e, len(room) == 0 && e.From != "" && e.To != ""
	}
	return e, false
}

// Notice writes the event.
func (e *Event) Notice(at time.Time) []byte {
	b := append(make([]byte, 0, 192), `{"chatType":1`...)
	for _, f := range []struct{ name, value string }{{fFrom.name(), e.From}, {fTo.name(), e.To}, {fID.name(), e.ID}, {fStatus.name(), e.Status}} {
		if f.value != "" {
			b = append(append(append(b, `,"`...), f.name...), `":`...)
			b = appendQuoted(b, f.value)
		}
	}
	if !e.Time.IsZero() {
		b = strconv.AppendInt(append(b, `,"timeStamp":`...), e.Time.UnixMilli(), 10)
	}
	return append(strconv.AppendInt(append(b, `,"statusTime":`...), at.UnixMilli(), 10), '}')
}

package message

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Text is an envelope as a person sees it, who knows nothing of JSON: what is shown of one, and what one is made of.
type Text struct {
	From, To    string // landlines
	Room        string // of a group message that is to be made
	ID          string // empty: none
	Content     string
	ContentType int64
	Name        string    // of the sender; empty: not told
	Time        time.Time // zero: none

	// What it is about: ids of messages between the same two; empty: none. A value of another form is an ordinary field, as all
	// that the relay does not know.
	Replaces string // a message that this one corrects
	Retracts string // a message that its sender takes back
	ReplyTo  string // a message that this one answers
}

// The names of the fields that only Text reads.
const (
	nameReplaces = "replaces"
	nameRetracts = "retracts"
	nameReplyTo  = "replyTo"
)

// TextOf reads a body that Parse accepted.
func TextOf(body []byte) (t Text) {
	r := new(reader)
	if r.open(body) != nil {
		return t
	}
	var m member
	for {
		if more, _ := r.next(&m); !more {
			return t
		}
		t.take(string(m.name), body[m.start:m.end])
	}
}

// take reads one field. The first "id" counts, or else "msgId", as for Parse.
func (t *Text) take(name string, raw []byte) {
	switch name {
	case fFrom.name():
		t.From = partyText(raw)
	case fTo.name():
		t.To = partyText(raw)
	case fID.name():
		t.ID = reference(raw)
	case fMsgID.name():
		if t.ID == "" {
			t.ID = reference(raw)
		}
	case fContent.name():
		s, _ := text(raw)
		t.Content = string(s)
	case fContentType.name():
		t.ContentType, _ = integer(raw)
	case fName.name():
		s, _ := text(raw)
		t.Name = string(s)
	case fTimeStamp.name():
		if ms, _, ok := clock(raw); ok {
			t.Time = time.UnixMilli(ms)
		}
	case nameReplaces:
		t.Replaces = reference(raw)
	case nameRetracts:
		t.Retracts = reference(raw)
	case nameReplyTo:
		t.ReplyTo = reference(raw)
	}
}

func partyText(raw []byte) string {
	s, _ := party(raw)
	return string(s)
}

// reference is an id; empty: it is none.
func reference(raw []byte) string {
	if id, ok := identifier(raw); ok {
		return string(id)
	}
	return ""
}

// Envelope makes the envelope of a direct message, or of a group's where Room is set. What is empty is left out, but for the content.
// The same text always makes the same bytes.
func (t *Text) Envelope() []byte {
	chatType := `{"chatType":1,"content":`
	if t.Room != "" {
		chatType = `{"chatType":2,"content":`
	}
	b := append(make([]byte, 0, len(t.Content)+len(t.Content)/8+256), chatType...)
	b = appendQuoted(b, t.Content)
	b = strconv.AppendInt(append(b, `,"contentType":`...), t.ContentType, 10)
	for _, f := range []struct{ name, value string }{
		{fFrom.name(), t.From}, {fTo.name(), t.To}, {fGroupJID.name(), t.Room}, {fID.name(), t.ID}, {fName.name(), t.Name},
		{nameReplaces, t.Replaces}, {nameRetracts, t.Retracts}, {nameReplyTo, t.ReplyTo},
	} {
		if f.value != "" {
			b = append(append(append(b, `,"`...), f.name...), `":`...)
			b = appendQuoted(b, f.value)
		}
	}
	if !t.Time.IsZero() {
		b = strconv.AppendInt(append(b, `,"timeStamp":`...), t.Time.UnixMilli(), 10)
	}
	return append(b, '}')
}

// appendQuoted writes a JSON string of a text that is UTF-8.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // it errs for other texts only, and marks what is not UTF-8 in them
	return b
}

// IsEnvelope tells an envelope, which may be a bad one, from a text that a person typed: it is a sound JSON object that says who
// speaks, and what.
func IsEnvelope(body []byte) bool {
	var k known
	return k.read(body) == nil && k.raw[fFrom] != nil && k.raw[fContent] != nil
}

// MostID is the length of the longest id.
const MostID = maxID

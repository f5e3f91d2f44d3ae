package trace

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"chatrelay/bridge"
)

// Event is what happened. The words stand in files and in JSON: never change one.
type Event string

// Events. The first four are of a message, as it was offered; the others of one delivery.
const (
	Taken    Event = "taken"
	Repeated Event = "repeated" // it was known already: the number is the first one's
	Refused  Event = "refused"
	Full     Event = "full" // the journal had no room; the wire keeps it, or its sender was told
	Bound    Event = "bound"
	Resumed  Event = "resumed" // it was on the wire when the relay was last ended
	Unbound  Event = "unbound" // the wire has lost it: it waits again
	Deferred Event = "deferred"
	Held     Event = "held"
	Settled  Event = "settled"
	Unproven Event = "unproven" // settled on a word that the broker also gives for what it drops
	Dead     Event = "dead"
	Bounced  Event = "bounced"
	Requeued Event = "requeued" // a dead letter, by hand
	Dropped  Event = "dropped"  // the same: nobody tries it again
	PutAway  Event = "put away" // a dead letter, by the journal, as there were too many
	Proven   Event = "proven"   // what was unproven: a probe behind it was heard
)

// Station is one thing that happened to a message.
type Station struct {
	At       time.Time     `json:"at"`
	Event    Event         `json:"event"`
	Delivery string        `json:"delivery,omitempty"` // its number, such as 12.0; empty: the message as a whole
	Side     string        `json:"side,omitempty"`     // where it came from, or went to
	Kind     string        `json:"kind,omitempty"`     // inbox, copy, notice, chat, room, receipt, error
	From     string        `json:"from,omitempty"`
	To       []string      `json:"to,omitempty"`
	ID       string        `json:"id,omitempty"` // the sender's
	Reason   string        `json:"reason,omitempty"`
	Status   string        `json:"status,omitempty"`     // of a notice: sent, delayed, failed
	Wait     time.Duration `json:"wait_ns,omitempty"`    // of a deferred delivery
	Count    int           `json:"deliveries,omitempty"` // of a taken message

	message uint64
	index   int // of the delivery; -1: none
}

// The fields of a line, by their first letter. A line is the time in ms, the message's number, the delivery's (or -), the event and then
// such fields, all with tabs between.
const (
	fieldSide   = 's'
	fieldKind   = 'k'
	fieldFrom   = 'f'
	fieldTo     = 't'
	fieldID     = 'i'
	fieldReason = 'r'
	fieldStatus = 'n'
	fieldWait   = 'w'
	fieldCount  = 'c'
)

// longest is how much of a text stays: ids and reasons are other people's.
const longest = 256

// appendLine begins a line.
func appendLine(b []byte, at int64, ref bridge.Ref, whole bool, e Event) []byte {
	b = append(strconv.AppendInt(b, at, 10), '\t')
	b = append(strconv.AppendUint(b, ref.Msg, 10), '\t')
	if whole {
		b = append(b, '-')
	} else {
		b = strconv.AppendUint(b, uint64(ref.Delivery), 10)
	}
	return append(append(b, '\t'), e...)
}

func appendField(b []byte, name byte, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, '\t', name, '='), value)
}

// appendText quotes a text where it could be taken for something else.
func appendText(b []byte, text string) []byte {
	text = cut(text)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return strconv.AppendQuote(b, text)
		}
	}
	return append(b, text...)
}

func cut(text string) string {
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "")
	}
	return text
}

// parse reads a line; of one that is no whole line nothing is said.
func parse(text []byte) (s Station, ok bool) {
	fields := bytes.Split(text, []byte{'\t'})
	if len(fields) < 4 {
		return s, false
	}
	at, err1 := strconv.ParseInt(string(fields[0]), 10, 64)
	msg, err2 := strconv.ParseUint(string(fields[1]), 10, 64)
	if err1 != nil || err2 != nil {
		return s, false
	}
	s.At, s.message, s.index, s.Event = time.UnixMilli(at), msg, -1, Event(fields[3])
	if text := string(fields[2]); text != "-" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return s, false
		}
		s.index = int(n)
		s.Delivery = bridge.Ref{Msg: msg, Delivery: uint16(n)}.String()
	}
	for _, f := range fields[4:] {
		if len(f) < 2 || f[1] != '=' {
			return s, false
		}
		s.set(f[0], plain(string(f[2:])))
	}
	return s, true
}

func plain(text string) string {
	if strings.HasPrefix(text, `"`) {
		if t, err := strconv.Unquote(text); err == nil {
			return t
		}
	}
	return text
}

func (s *Station) set(name byte, value string) {
	switch name {
	case fieldSide:
		s.Side = value
	case fieldKind:
		s.Kind = value
	case fieldFrom:
		s.From = value
	case fieldTo:
		s.To = append(s.To, value)
	case fieldID:
		s.ID = value
	case fieldReason:
		s.Reason = value
	case fieldStatus:
		s.Status = value
	case fieldWait:
		ms, _ := strconv.ParseInt(value, 10, 64) // 0 where it is none
		s.Wait = time.Duration(ms) * time.Millisecond
	case fieldCount:
		s.Count, _ = strconv.Atoi(value) // as above
	}
}

// Text says the rest in words.
func (s *Station) Text() string {
	var words []string
	say := func(set bool, text string) {
		if set {
			words = append(words, text)
		}
	}
	switch s.Event {
	case Taken, Refused, Full, Repeated:
		say(s.Side != "", "from "+s.Side)
		say(s.Count > 1, strconv.Itoa(s.Count)+" deliveries")
	case Bound, Resumed:
		say(true, strings.Join(strings.Fields(s.Status+" "+s.Kind+" to "+strings.Join(s.To, ", ")+" on "+s.Side), " "))
	case Deferred, Held:
		say(true, "for "+s.Wait.String())
	}
	say(s.Reason != "", s.Reason)
	return strings.Join(words, ", ")
}

// KindWord names a kind of delivery.
func KindWord(k bridge.Kind) string {
	switch k {
	case bridge.KindInbox:
		return "inbox"
	case bridge.KindCopy:
		return "copy"
	case bridge.KindNotice:
		return "notice"
	case bridge.KindChat:
		return "chat"
	case bridge.KindRoom:
		return "room"
	case bridge.KindReceipt:
		return "receipt"
	case bridge.KindError:
		return "error"
	}
	return ""
}

package picture

import (
	"encoding/json"
	"slices"
	"unique"

	"chatrelay/bridge"
)

// Message is a message while anything of it may still happen: deliveries open, answers under way, a bounce possible.
type Message struct {
	ID      uint64
	At      int64 // ms since the epoch, when it was taken
	Ran     int64 // the same in running time; of a message from before this process as the clock told it
	Expires int64 // in running time; 0: never
	From    string
	Reply   string // of what came by stanza: where its sender hears of it (bridge.ReplyTo.Stored)
	Size    uint32 // of the body, as it was taken or loaded
	Origin  bridge.SideID
	Copies  uint16 // message deliveries it was taken with; 0: it carries only answers
	Keys    uint16 // it was taken with
	Waiting uint16 // deliveries in their lanes or on their way, answers too. The journal's own, as Saved and Body: nothing here looks at them
	Receipt bool   // is due at Reply once it is sent
	Saved   bool   // the row is in the tables
	Status
	Place                  // of the body in the log, while the message is not Saved
	Deliveries []*Delivery // the message deliveries by number (nil: settled before the last start), then answers as they come
	Body       []byte      // nil: none, or only in the log or the tables
}

// Place is where a body is in the log.
type Place struct {
	Frame          uint64
	BodyAt, Length uint32
}

// Status is what facts change of a message.
type Status struct {
	frame    uint64 // that changed it last
	Open     uint16 // message deliveries
	Dead     uint16 // message deliveries
	Dropped  uint16 // message deliveries: dead, and then given up by hand
	Unproven uint16 // message deliveries that were settled and are not confirmed. The message stays until they are
	Answers  uint16 // answer deliveries open
	Base     uint16 // number of the first answer delivery; higher after a requeue, so that no number is used twice
	Cut      uint32 // size of what was put in the body's place; 0: nothing
	Reason   string // label under which it was counted as dead
	Delayed  bool   // its sender was told so, or need not be
	Bounced  bool
	Over     bool // its time for bounces is over: it goes with its last answer
}

// The answers of a message have fixed numbers above its message deliveries.
const (
	answerDelayed = iota
	answerOutcome
	answerReceipt
	answerBounce
	answerError
	answerSlots // more of them is no change of the log: a message's later ones begin at its own base
)

// MostCopies leaves numbers for the answers of many requeues.
const MostCopies = 1<<16 - 1 - 64*answerSlots

// Delivery is one message on its way to one destination.
type Delivery struct {
	Message  *Message
	Seq      uint64 // order in the journal, and in its lane
	To, Lane string
	Post     *bridge.Post // nil: nothing is to be asked before it leaves
	Seat     any          // its place in a lane. The journal's own, as Saved and Wired: nothing here looks at them
	Num      uint16
	Kind     bridge.Kind
	Side     bridge.SideID
	Saved    bool // the row is in the tables
	Wired    bool // so is a binding
	DeliveryStatus
}

// DeliveryStatus is what facts change of a delivery.
type DeliveryStatus struct {
	frame   uint64       // that changed it last
	Note    *bridge.Note // of an answer; of a dead delivery: why; of a message delivery: Post alone
	Put     *PutOff      // nil: it never was put off
	Binding []byte
	Order   uint64 // of binding, from 1; 0: not bound
	Dead    bool
	Gone    bool // settled, or dropped
}

// Ref names the delivery.
func (d *Delivery) Ref() bridge.Ref { return bridge.Ref{Msg: d.Message.ID, Delivery: d.Num} }

// Attempts is how often it was put off.
func (d *Delivery) Attempts() int64 {
	if d.Put == nil {
		return 0
	}
	return int64(d.Put.Attempts)
}

// Finished tells whether it is settled or dead.
func (d *Delivery) Finished() bool { return d.Gone || d.Dead }

// Delivery finds a delivery by its number; nil: unknown, or settled before the last start.
func (m *Message) Delivery(num uint16) *Delivery {
	if num < m.Copies {
		return m.Deliveries[num]
	}
	for _, d := range m.Deliveries[m.Copies:] {
		if d.Num == num {
			return d
		}
	}
	return nil
}

// DelayNotice is the notice of delay of the message's present round, if it has one.
func (m *Message) DelayNotice() *Delivery { return m.Delivery(m.Base + answerDelayed) }

// Pending tells whether the message was taken and is not closed.
func (m *Message) Pending() bool { return m.Open > 0 }

// HasOpen tells whether any delivery is open, be it only an answer's. A nil message is not.
func (m *Message) HasOpen() bool { return m != nil && (m.Open > 0 || m.Answers > 0) }

// BodySize is the size of the body that it has now.
func (m *Message) BodySize() int64 {
	if m.Cut > 0 {
		return int64(m.Cut)
	}
	return int64(m.Size)
}

// forget lets go of an answer that is closed; a message may have many in its time.
func (m *Message) forget(d *Delivery) {
	for i, x := range m.Deliveries[m.Copies:] {
		if x == d {
			at := int(m.Copies) + i
			m.Deliveries = slices.Delete(m.Deliveries, at, at+1)
			return
		}
	}
}

// NoteText is a note as it is kept; empty: there is none.
func NoteText(n *bridge.Note) string {
	if n == nil {
		return ""
	}
	b, _ := json.Marshal(n) // a struct of strings and numbers
	return string(b)
}

// notes keeps one copy of notes that come one after the other: those of one frame, or one message, are equal.
type notes struct{ last *bridge.Note }

func (c *notes) share(n bridge.Note) *bridge.Note {
	if n == (bridge.Note{}) {
		return nil
	}
	if c.last == nil || *c.last != n {
		c.last = &n
	}
	return c.last
}

// intern keeps one copy of names that come again and again, and lets go of what they were cut from.
func intern(s string) string { return unique.Make(s).Value() }

package bridge

import "chatrelay/message"

// Verdict is what intake decided about an offer.
type Verdict uint8

// Verdicts.
const (
	Take   Verdict = iota // deliver its legs
	Ignore                // count it under Reason
	Reject                // count it under Reason; Legs holds at most the answers
)

// Outcome is what became of a record in the book.
type Outcome uint8

// Outcomes. The first four are final and committed.
const (
	Unknown   Outcome = iota // Append failed
	Taken                    // message, legs and keys are in the book
	Duplicate                // a key was known: nothing to deliver
	Ignored
	Refused
	Full // no room: nothing was written for it, no key kept, not counted as received
)

// Record is one offer on its way into the book.
type Record struct {
	Origin  SideID
	Verdict Verdict
	Reason  string // label for Ignore and Reject
	// ID is the number given by Book.NewID, or 0: the book gives one.
	ID      uint64
	Keys    []message.Key // all that are remembered under Origin; the first known one decides. See Append for those of a Reject
	WireKey message.Key   // zero: none. A known one is a silent duplicate
	From    string        // sender's landline
	Via     string        // inbox it arrived on (MQTT): a retry is a known key with the same Via
	Body    []byte
	Legs    []Leg
	// Reply is Inbound.Reply of whatever was sent by stanza: an Error leg with this Note.Reply is due when it
	// dies or bounces. Receipt: a Receipt leg is due when it is settled as sent.
	Reply   string
	Receipt bool
	// Redelivered: a known key is silence, not a retry to be answered.
	Redelivered bool
	// Gen and Redelivers are the Inbound's. Where the wire brings again what is Full, nothing behind it in the
	// same call and Gen may be counted, kept or answered: all of that is Full too.
	Gen        uint64
	Redelivers bool
	State      []StateRow // of side Origin

	Outcome Outcome // set by Append
	// Why is set by Append with Full or Refused where the book itself refuses this one message: its sender, or
	// who it is for, has its share of the journal already.
	Why *Refusal
}

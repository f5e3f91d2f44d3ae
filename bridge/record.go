package bridge

import (
	"time"

	"chatrelay/message"
)

// Verdict is what intake decided about an offer.
type Verdict uint8

// Verdicts.
const (
	VerdictTake   Verdict = iota // deliver its deliveries
	VerdictIgnore                // count it under Reason
	VerdictReject                // count it under Reason; Deliveries holds at most the answers
)

// Outcome is what became of a record in the journal.
type Outcome uint8

// Outcomes. The first four are final and committed.
const (
	OutcomeUnknown   Outcome = iota // Append failed
	OutcomeTaken                    // message, deliveries and keys are in the journal
	OutcomeDuplicate                // a key was known: nothing to deliver
	OutcomeIgnored
	OutcomeRefused
	OutcomeFull // no room: nothing was written for it, no key kept, not counted as received
)

// String names an outcome in logs.
func (o Outcome) String() string {
	switch o {
	case OutcomeTaken:
		return "taken"
	case OutcomeDuplicate:
		return "duplicate"
	case OutcomeIgnored:
		return "ignored"
	case OutcomeRefused:
		return "refused"
	case OutcomeFull:
		return "full"
	}
	return "unknown"
}

// Names are what people call a message.
type Names struct {
	SenderID string // the envelope's id
	// Number is set by Append: the message's number in the journal, of a duplicate the first one's, of a refusal that of
	// its answer. 0: nothing of it is there.
	Number uint64
}

// Record is one offer on its way into the journal.
type Record struct {
	Origin  SideID
	Verdict Verdict
	Reason  string // label for Ignore and Reject
	// ID is the number given by Appender.NewID, or 0: the journal gives one.
	ID         uint64
	Keys       []message.Key // all that are remembered under Origin; the first known one decides. See Append for those of a Reject
	WireKey    message.Key   // zero: none. A known one is a silent duplicate
	From       string        // sender's landline
	Via        string        // inbox it arrived on (MQTT): a retry is a known key with the same Via
	Body       []byte
	Deliveries []Delivery
	// Reply is Inbound.Reply of whatever was sent by stanza: a KindError delivery with this Note.Reply is due when it
	// dies or bounces. Receipt: a Receipt delivery is due when it is settled as sent.
	Reply   ReplyTo
	Receipt bool
	Expires time.Duration // Inbound.Expires
	// Redelivered: a known key is silence, not a retry to be answered.
	Redelivered bool
	// Gen and Redelivers are the Inbound's. Where the wire brings again what is Full, nothing behind it in the
	// same call and Gen may be counted, kept or answered: all of that is Full too.
	Gen        uint64
	Redelivers bool
	State      []StateRow // of side Origin

	Outcome Outcome // set by Append
	Names
	// Why is set by Append with Full or Refused where the journal itself refuses this one message: its sender, or
	// who it is for, has its share of the journal already.
	Why *Refusal
}

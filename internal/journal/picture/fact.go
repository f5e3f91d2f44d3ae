package picture

import (
	"chatrelay/bridge"
	"chatrelay/message"
)

// Head stands in front of each frame: what time it was when its facts were decided.
type Head struct {
	N   uint64 // one more than the last frame's
	At  int64  // ms since the epoch
	Ran int64  // for how long relays have run on this journal, in ms; never less than the last frame's
}

// Fact is one thing that was decided. Facts go into the log: what one means, and what Apply makes of it, never changes.
type Fact interface {
	apply(p *Picture)
	kind() uint8
	code(c *codec)
}

// Rules say which notices senders get, from here on.
type Rules struct{ Sent, Delayed, Failed bool }

// RulesOf takes of the notices those that the journal makes.
func RulesOf(n bridge.Notices) Rules { return Rules{n.Sent, n.Delayed, n.Failed} }

// Lease says that no message number at or above Next was ever given out.
type Lease struct{ Next uint64 }

// Counted adds to a counter.
type Counted struct {
	Counter bridge.Counter
	N       int64
}

// StateSet is a row of a side's own memory. A nil Value removes it.
type StateSet struct {
	Side  bridge.SideID
	Key   string
	Value []byte
}

// Took is a message with its deliveries and those of its keys that were not known.
type Took struct {
	ID         uint64
	Origin     bridge.SideID
	From       string
	Reply      string // bridge.ReplyTo.Stored
	Receipt    bool
	Expires    int64  // running ms; 0: never
	Via        uint32 // hash of the inbox it came in on
	Keys       []message.Key
	Body       []byte
	BodyAt     int               // where it begins in the frame that was encoded, or decoded
	Deliveries []bridge.Delivery // without Behind: Lane is where they stand
}

// Answered is answers to somebody whose message was not taken.
type Answered struct {
	ID         uint64
	Origin     bridge.SideID
	From       string
	Body       []byte
	BodyAt     int // as in Took
	Deliveries []bridge.Delivery
}

// Learned is more keys of a message that is known.
type Learned struct {
	Msg    uint64
	Origin bridge.SideID
	Via    uint32
	Keys   []message.Key
}

// Delayed tells a message's sender that it waits, if it does and was not told.
type Delayed struct{ Msg uint64 }

// PutOff is for people, and so that a delivery does not begin anew with each start of the relay.
type PutOff struct {
	Ref      bridge.Ref
	Attempts uint32
	Waited   int64 // ms, in all
	Until    int64 // ms since the epoch
	Reason   string
}

// Bound says what a delivery is on the wire. Bound again it keeps its place in the order of binding.
type Bound struct {
	Ref     bridge.Ref
	Binding []byte
}

// Unbound says that the wire has lost a delivery.
type Unbound struct{ Ref bridge.Ref }

// Closed settles a delivery, or makes it a dead letter (Why).
type Closed struct {
	Ref           bridge.Ref
	Why           *bridge.Refusal
	Unproven      uint64 // its number, if it was settled on a word that proves little; 0: it was not
	Body          []byte // is kept in the place of the message's if that has no other delivery; nil: nothing changes
	BodyAt        int    // as in Took
	CancelDelayed bool   // if the message ends with it, a "delayed" that nobody was handed is taken back
}

// Bounced: the far side gave a delivery back.
type Bounced struct {
	Ref           bridge.Ref
	Why           *bridge.Refusal
	CancelDelayed bool // as in Closed
}

// Confirmed: what a side settled as unproven, up to a number, has arrived.
type Confirmed struct {
	Side bridge.SideID
	UpTo uint64
}

// Unconfirmed: it has not, as far as anybody can tell, but for messages not longer than Longer.
type Unconfirmed struct {
	Side   bridge.SideID
	UpTo   uint64
	Longer int
	Why    *bridge.Refusal
}

// Recalled is a message of which nothing was left but dead letters, and something is to be done with those: they are not
// kept in memory.
type Recalled struct {
	ID      uint64
	At, Ran int64
	Origin  bridge.SideID
	From    string
	Reply   string
	Receipt bool
	Expires int64
	Size    uint32
	Copies  uint16
	Keys    uint16
	Base    uint16
	Dropped uint16
	Delayed bool
	Reason  string
	Dead    []DeadLetter
}

// DeadLetter is a delivery of a Recalled.
type DeadLetter struct {
	Seq      uint64
	Num      uint16
	Kind     bridge.Kind
	Side     bridge.SideID
	To, Lane string
	Attempts uint32
	Note     bridge.Note
}

// Requeued puts a dead letter back into its lane.
type Requeued struct {
	Ref  bridge.Ref
	Keys []message.Key // of its message, to be known again
}

// Dropped gives a dead letter up.
type Dropped struct{ Ref bridge.Ref }

// Rotated begins a generation of keys and forgets the oldest ones, of which the first Aged have outlived the window.
type Rotated struct{ Drop, Aged int }

// Forgot lets go of delivered messages: what bounces from here on is not theirs any more. It names them: in which order they
// were delivered is not known after a start.
type Forgot struct{ Messages []uint64 }

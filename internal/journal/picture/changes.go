package picture

import (
	"slices"

	"chatrelay/bridge"
	"chatrelay/message"
)

// Changes is what a frame has changed, for whoever keeps lanes or writes tables. A replay needs none of it.
type Changes struct {
	Head       Head
	Taken      []Taken
	Inserted   []*Delivery // in new messages and old ones
	Messages   []ChangedMessage
	Deliveries []ChangedDelivery
	Bound      []*Delivery  // some more than once, some not any more
	PutOff     []*Delivery  // likewise
	Reopened   []*Delivery  // dead letters that were requeued
	Resumed    []*Message   // that are pending again
	Cut        []Body       // bodies that something else was put in the place of
	Idle       []*Message   // nothing of them is open
	Deleted    []uint64     // messages to which nothing can happen any more
	Proven     []bridge.Ref // were settled as unproven
	Unproved   []Unproved   // the same, and bounced

	Keys     []KeyChanges // in order
	Counts   []bridge.Counter
	State    []StateKey
	Unproven [bridge.XMPP + 1]ProofChanges
	Lease    uint64 // 0: it is as it was
}

// KeyChanges is what was done to what is known, while a generation was the youngest.
type KeyChanges struct {
	Generation uint64
	Ran        int64     // then; of many frames: of the first
	Ended      int64     // when the last one of Added was
	Rotation   *Rotation // it began; nil: it was there before
	Added      []SeenKey
	Unfailed   []uint64 // before those that failed
	Failed     []Failure
}

// Unproved is deliveries that nothing proves.
type Unproved struct {
	Refs []bridge.Ref
	Why  *bridge.Refusal
}

// Add makes one of two: what c and then the next have changed. What is written of them is how things are by then. What tables have
// no use for is of a single frame: Resumed, Idle, Proven, Unproved.
func (c *Changes) Add(next *Changes) {
	c.Head = next.Head
	c.Taken = append(c.Taken, next.Taken...)
	c.Inserted = append(c.Inserted, next.Inserted...)
	c.Messages = append(c.Messages, next.Messages...)
	c.Deliveries = append(c.Deliveries, next.Deliveries...)
	c.Bound = append(c.Bound, next.Bound...)
	c.PutOff = append(c.PutOff, next.PutOff...)
	c.Reopened = append(c.Reopened, next.Reopened...)
	c.Cut = append(c.Cut, next.Cut...)
	c.Deleted = append(c.Deleted, next.Deleted...)
	for _, k := range next.Keys {
		c.addKeys(k)
	}
	c.Counts = append(c.Counts, next.Counts...)
	c.State = append(c.State, next.State...)
	for side := range c.Unproven {
		c.Unproven[side].Added = append(c.Unproven[side].Added, next.Unproven[side].Added...)
		c.Unproven[side].Gone = append(c.Unproven[side].Gone, next.Unproven[side].Gone...)
	}
	c.Lease = max(c.Lease, next.Lease)
}

func (c *Changes) addKeys(next KeyChanges) {
	n := len(c.Keys)
	if n == 0 || c.Keys[n-1].Generation != next.Generation {
		c.Keys = append(c.Keys, next)
		return
	}
	k := &c.Keys[n-1]
	k.Added, k.Ended = append(k.Added, next.Added...), max(k.Ended, next.Ended)
	k.unfail(next.Unfailed...)
	k.Failed = append(k.Failed, next.Failed...)
}

// unfail takes back that messages have failed.
func (k *KeyChanges) unfail(messages ...uint64) {
	if len(messages) > 0 {
		k.Failed = slices.DeleteFunc(k.Failed, func(f Failure) bool { return slices.Contains(messages, f.Msg) })
		k.Unfailed = append(k.Unfailed, messages...)
	}
}

// keys is what the youngest generation is changed by.
func (c *Changes) keys(g *Generation) *KeyChanges {
	if n := len(c.Keys); n == 0 || c.Keys[n-1].Generation != g.N {
		c.Keys = append(c.Keys, KeyChanges{Generation: g.N, Ran: c.Head.Ran})
	}
	return &c.Keys[len(c.Keys)-1]
}

// Taken is a new message, and what only its row needs.
type Taken struct {
	*Message
	Body []byte
	Keys []message.Key
}

// Body is the body of a message.
type Body struct {
	*Message
	Body []byte
}

// ChangedMessage is a message and how it was.
type ChangedMessage struct {
	*Message
	Before Status
}

// ChangedDelivery is a delivery and how it was.
type ChangedDelivery struct {
	*Delivery
	Before DeliveryStatus
}

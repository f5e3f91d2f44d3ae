package journal

import (
	"unique"

	"chatrelay/bridge"
)

// message is a message while anything of it may still happen: deliveries open, answers under way, a bounce possible.
// Its fixed fields never change; journal is the writer's, guarded by Journal.mu.
type entry struct {
	id         uint64
	at         int64 // ms since the epoch, when it was taken
	ran        int64 // the same in running time; of a message from before this process as the clock told it
	expires    int64 // in running time; 0: never
	from       string
	reply      string // of what came by stanza: where its sender hears of it (bridge.ReplyTo.Stored)
	body       []byte // nil: none, or only in the file
	size       uint32 // of the body, as it was taken or loaded
	cut        uint32 // of what was put in its place since; 0: nothing
	origin     bridge.SideID
	waiting    uint16      // deliveries that wait, answers too
	copies     uint16      // message deliveries it was taken with; 0: a row that carries only answers
	keys       uint16      // it was taken with
	receipt    bool        // is due at reply once it is sent
	deliveries []*delivery // the message deliveries by number (nil: settled before the last start), then answers as they come
	durable    durableEntry
}

// durableEntry is what a commit may change of a message.
type durableEntry struct {
	tx      uint32 // the transaction that saved it last
	open    uint16 // message deliveries
	dead    uint16 // message deliveries
	dropped uint16 // message deliveries: dead, and then given up by hand
	// unproven: message deliveries that were settled and are not confirmed. The message stays until they are.
	unproven uint16
	answers  uint16 // answer deliveries open
	base     uint16 // number of the first answer delivery; higher after a requeue, so that no number is used twice
	reason   string // label under which it was counted as dead
	delayed  bool   // its sender was told so, or need not be
	bounced  bool
	row      bool // the row is in the file
	changed  bool // in this transaction
	over     bool // its time for bounces is over: it goes with its last answer
}

// The answers of a message have fixed numbers above its message deliveries.
const (
	answerDelayed = iota
	answerOutcome
	answerReceipt
	answerBounce
	answerError
	answerSlots // more of them is no change of the file: a message's later ones begin at its own base
)

const maxMail = 1<<16 - 1 - 64*answerSlots // leaves numbers for the answers of many requeues

// deliveryState is where a delivery is, as dispatchers and sides see it. Guarded by Journal.mu.
type deliveryState uint8

const (
	uncommitted deliveryState = iota // its append is not committed
	queued                           // in its lane
	handedOut                        // with a dispatcher, not bound
	inflight                         // bound, or its bind is in the queue
	settling                         // its settle is in the queue, or it is settled or dead
)

// delivery is one message on its way to one destination. The first block never changes.
type delivery struct {
	entry *entry
	lane  *lane
	to    string
	note  *bridge.Note // of an answer; of a dead delivery: why; of a message delivery: Post alone
	seq   uint64       // order in the journal, and in its lane
	post  *bridge.Post // nil: nothing is to be asked before it leaves
	num   uint16
	kind  bridge.Kind

	state    deliveryState
	attempts uint32
	waited   int64  // ms, for which it was deferred in all
	epoch    uint32 // how often a wire gave it back; a bind of an earlier epoch says nothing any more

	durable durableDelivery
}

// durableDelivery is what a commit may change of a delivery.
type durableDelivery struct {
	tx    uint32
	row   bool // the row is in the file
	wired bool // so is a binding
	bound bool
	epoch uint32 // of the binding
	dead  bool
	gone  bool // settled, or dropped
}

func (d *delivery) finished() bool { return d.durable.gone || d.durable.dead }

func (d *delivery) ref() bridge.Ref { return bridge.Ref{Msg: d.entry.id, Delivery: d.num} }

// delivery finds a delivery by its number; nil: unknown, or settled before the last start.
func (m *entry) delivery(num uint16) *delivery {
	if num < m.copies {
		return m.deliveries[num]
	}
	for _, d := range m.deliveries[m.copies:] {
		if d.num == num {
			return d
		}
	}
	return nil
}

// answer finds the answer delivery of a slot in the message's present round.
func (m *entry) answer(slot uint16) *delivery { return m.delivery(m.durable.base + slot) }

// pending tells whether the message was taken and is not closed.
func (m *entry) pending() bool { return m.durable.open > 0 }

// hasOpen tells whether any delivery is open, be it only an answer's. A nil message is not.
func (m *entry) hasOpen() bool { return m != nil && (m.durable.open > 0 || m.durable.answers > 0) }

// intern keeps one copy of names that come again and again, and lets go of what they were cut from.
func intern(s string) string { return unique.Make(s).Value() }

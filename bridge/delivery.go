package bridge

import (
	"fmt"
	"time"
)

// Ref names one delivery of one message. Stored; comparable.
type Ref struct {
	Msg      uint64 // number of the message in the journal, from 1
	Delivery uint16 // number of the delivery within the message, from 0
}

func (r Ref) String() string { return fmt.Sprintf("%d.%d", r.Msg, r.Delivery) }

// Kind says what a delivery is. Stored: never renumber.
type Kind uint8

// What the relay sends.
const (
	KindInbox   Kind = 1 // MQTT: a message into the inbox of landline To
	KindCopy    Kind = 2 // MQTT: a group message's copy into the inbox of landline To ("to" is spliced)
	KindNotice  Kind = 3 // MQTT: a notice into the inbox of landline To; body is rendered from Note
	KindChat    Kind = 4 // XMPP: a chat message to landline To
	KindRoom    Kind = 5 // XMPP: one groupchat message into room To (bare JID)
	KindReceipt Kind = 6 // XMPP: a delivery receipt to Note.Reply
	KindError   Kind = 7 // XMPP: a stanza error to Note.Reply, made of Note.Reason and Note.Text; To is empty
)

// IsMessage tells whether a delivery of this kind carries a message, rather than an answer about one.
func (k Kind) IsMessage() bool {
	return k == KindInbox || k == KindCopy || k == KindChat || k == KindRoom
}

// Note is what an answer (Notice, Receipt, Error) says. Of a message delivery only Post is set.
type Note struct {
	Status string  `json:"status,omitempty"` // Notice: sent, delayed or failed. Error: failed, if the message was taken before
	Reason string  `json:"reason,omitempty"` // Error: the refusal's fixed word
	Text   string  `json:"text,omitempty"`   // Notice: the reason a person reads. Error: the same
	At     int64   `json:"at,omitempty"`     // ms since the epoch
	Reply  ReplyTo `json:"reply,omitzero"`   // Receipt, Error: Inbound.Reply

	// Post is set where it was not known yet whether the sender may post to the group: the dispatcher asks before the
	// delivery leaves. It stays with a dead delivery, so that a requeued one is asked about again.
	Post *Post `json:"post,omitempty"`
}

// Post is what has to be asked about a group message that was taken while its room's state was unknown.
type Post struct {
	Room string `json:"room"`
	Via  string `json:"via,omitempty"` // MQTT: the landline of the inbox it came on
}

// Delivery is one delivery that a message needs, as intake writes it.
type Delivery struct {
	Side SideID
	Kind Kind
	To   string // landline or room, never a topic or a JID
	Lane string // order is kept within a lane; (sender, destination)
	// Behind names a lane that this delivery must not overtake: while anything in it is open, the delivery goes there.
	Behind string
	Note   Note
}

// Outbound is one delivery on its way to a wire. Body is what travels: already rendered (Render), never nil
// for a message delivery or a Notice. It must not be changed.
type Outbound struct {
	Ref  Ref
	Kind Kind
	From string // landline of the message's sender
	To   string
	Body []byte
	Note Note
	// Left is how long the message is worth anything, from when it was handed out; 0: for ever, below 0: no more.
	Left time.Duration
	// Age is how long ago the message was taken, when it was handed out. Only a message delivery has one.
	Age time.Duration
}

package bridge

import "fmt"

// Ref names one leg of one message. Stored; comparable.
type Ref struct {
	Msg uint64 // number of the message in the book, from 1
	Leg uint16 // number of the leg within the message, from 0
}

func (r Ref) String() string { return fmt.Sprintf("%d.%d", r.Msg, r.Leg) }

// Kind says what a leg is. Stored: never renumber.
type Kind uint8

// What the relay sends.
const (
	Inbox   Kind = 1 // MQTT: a message into the inbox of landline To
	Copy    Kind = 2 // MQTT: a group message's copy into the inbox of landline To ("to" is spliced)
	Notice  Kind = 3 // MQTT: a notice into the inbox of landline To; body is rendered from Note
	Chat    Kind = 4 // XMPP: a chat message to landline To
	Room    Kind = 5 // XMPP: one groupchat message into room To (bare JID)
	Receipt Kind = 6 // XMPP: a delivery receipt to Note.Reply
	Error   Kind = 7 // XMPP: a stanza error to Note.Reply, made of Note.Reason and Note.Text; To is empty
)

// Mail tells whether a leg of this kind carries a message, rather than an answer about one.
func (k Kind) Mail() bool { return k == Inbox || k == Copy || k == Chat || k == Room }

// Note is what an answer (Notice, Receipt, Error) says. Of a mail leg only Post is set.
type Note struct {
	Status string `json:"status,omitempty"` // Notice: sent, delayed or failed. Error: failed, if the message was taken before
	Reason string `json:"reason,omitempty"` // Error: the refusal's fixed word
	Text   string `json:"text,omitempty"`   // Notice: the reason a person reads. Error: the same
	At     int64  `json:"at,omitempty"`     // ms since the epoch
	Reply  string `json:"reply,omitempty"`  // Receipt, Error: Inbound.Reply

	// Post is set where it was not known yet whether the sender may post to the group: the courier asks before the
	// leg leaves. It stays with a dead leg, so that a requeued one is asked about again.
	Post *Post `json:"post,omitempty"`
}

// Post is what has to be asked about a group message that was taken while its room's state was unknown.
type Post struct {
	Room string `json:"room"`
	Via  string `json:"via,omitempty"` // MQTT: the landline of the inbox it came on
}

// Leg is one delivery that a message needs, as intake writes it.
type Leg struct {
	Side SideID
	Kind Kind
	To   string // landline or room, never a topic or a JID
	Lane string // order is kept within a lane; (sender, destination)
	// Behind names a lane that this leg must not overtake: while anything in it is open, the leg goes there.
	Behind string
	Note   Note
}

// Outbound is one leg on its way to a wire. Body is what travels: already rendered (Render), never nil
// for a mail leg or a Notice. It must not be changed.
type Outbound struct {
	Ref  Ref
	Kind Kind
	From string // landline of the message's sender
	To   string
	Body []byte
	Note Note
}

package bridge

import (
	"bytes"
	"cmp"
	"errors"

	"chatrelay/message"
)

// judge decides what an offer is and what it needs, without looking into the journal.
type judge struct {
	side      SideID
	rules     message.Rules
	directory func() *Directory
	now       *Directory // for the offer that is being judged
	senders   *Senders
	journal   Appender
	limit     *limiter
	notices   bool // refused MQTT messages are answered by a notice
	may       func(from, to string) bool
	rates     *rates
	nowMS     func() int64
}

// reasonNotice is why a notice is ignored.
const reasonNotice = "notice"

// record makes the journal's record of an offer. The refusal is nil unless the verdict is Reject. It works on a copy of
// the judge, with the directory of that moment.
func (j judge) record(in *Inbound) (*Record, *Refusal) {
	j.now = j.directory()
	via := j.inbox(in)
	rec := &Record{Origin: j.side, Via: via, Body: in.Body, Redelivered: in.Redelivered, State: in.State,
		Gen: in.Gen, Redelivers: in.Redelivers}
	if in.WireID != "" {
		rec.WireKey = message.WireKey(j.side.String(), in.WireID)
	}
	if in.Ignored != "" {
		return j.ignore(rec, in.Ignored), nil
	}
	env, err := message.Parse(in.Body, &j.rules)
	rec.SenderID = env.ID
	if err != nil && chatter(in, err) {
		return j.ignore(rec, "no_envelope"), nil // whoever the side takes the speaker for
	}
	if in.Refused != nil {
		if env.Notice {
			env.From = "" // no notice is answered by another
		}
		if j.reject(rec, in, env.From, in.Refused); in.Stored && err == nil {
			j.recognise(rec, in, &env)
		}
		return rec, in.Refused
	}
	if err != nil {
		why := refusalOf(err)
		if !in.Reply.IsZero() && isText(in.Body) {
			why = Refuse(PlainText, plainText)
		}
		return j.reject(rec, in, env.From, why), why
	}
	if env.Notice {
		return j.ignore(rec, reasonNotice), nil
	}
	if why := j.check(in, &env); why != nil {
		return j.reject(rec, in, env.From, why), why
	}
	if !env.Group() && env.To == "" {
		env.To = in.To // a direct message on an inbox need not repeat whose it is
	}
	rec.From = env.From
	rec.Deliveries = Route(j.side, in.Room, &env, j.now)
	if len(rec.Deliveries) == 0 {
		return j.ignore(rec, "no_members"), nil
	}
	if env.Group() && in.Room == "" { // what was heard in a room the room has let pass
		switch j.senders.post(j.now, env.GroupJID, env.From, via) {
		case forbidden:
			return j.outsider(rec, in, &env)
		case undecided:
			undecide(rec.Deliveries, &Post{Room: env.GroupJID, Via: via}, env.From)
		}
	}
	if !j.rates.allow(in) {
		why := Refuse("rate", "you send more than %d messages a second: wait a moment, and send it again", j.rates.perSecond)
		return j.reject(rec, in, env.From, why), why
	}
	j.identify(rec, &env)
	rec.Expires = in.Expires
	rec.Reply, rec.Receipt = in.Reply, in.Receipt && !in.Reply.IsZero()
	return rec, nil
}

// inbox is the landline of the inbox that a message was published to. Who writes there can, by the broker's leave; an address is nobody's.
func (j *judge) inbox(in *Inbound) string {
	if j.side == MQTT {
		return in.To
	}
	return ""
}

// outsider refuses a group message of someone who may not post there, unless the journal knows it: it may be the relay's
// own copy that comes back, of one who has left the group since.
func (j *judge) outsider(rec *Record, in *Inbound, env *message.Envelope) (*Record, *Refusal) {
	why := notMember()
	j.reject(rec, in, env.From, why)
	j.recognise(rec, in, env)
	if rec.Reply = in.Reply; !in.Reply.IsZero() {
		rec.Receipt, rec.Body = in.Receipt, in.Body
	}
	return rec, why
}

// recognise gives a refusal the key by which the journal may know the message.
func (j *judge) recognise(rec *Record, in *Inbound, env *message.Envelope) {
	if !env.Group() && env.To == "" {
		env.To = in.To // as when it was taken
	}
	if env.Identified() {
		rec.Keys = []message.Key{env.Key()}
	}
}

// identify gives the record its keys. Content alone is no identity ("ok", "ok"): a message with neither id nor
// time gets an id of the journal's, and only the wire can tell it from its repetition.
func (j *judge) identify(rec *Record, env *message.Envelope) {
	if env.Identified() {
		rec.Keys = []message.Key{env.Key()}
		return
	}
	var id string
	rec.ID, id = j.journal.NewID()
	rec.Body, rec.SenderID = message.WithID(rec.Body, id), id
	rec.Keys = []message.Key{env.KeyWithID(id)}
}

// check holds the envelope against what the wire vouches for and what is served.
func (j *judge) check(in *Inbound, env *message.Envelope) *Refusal {
	if why := j.checkSender(in, env); why != nil {
		return why
	}
	if why := j.checkRecipient(in, env); why != nil {
		return why
	}
	if !j.may(env.From, cmp.Or(env.GroupJID, env.To, in.To)) {
		return Refuse("denied", "you may not write to this recipient")
	}
	return nil
}

func (j *judge) checkRecipient(in *Inbound, env *message.Envelope) *Refusal {
	if env.Group() {
		return j.checkGroup(in, env)
	}
	switch {
	case in.Room != "":
		return Refuse("room_mismatch", "a direct message was sent into a room")
	case in.To == "" && env.To == "":
		return Refuse("bad_to", "\"to\" is missing: name the landline that the message is for")
	case in.To != "" && env.To != "" && env.To != in.To:
		return Refuse("to_mismatch", "\"to\" is not the landline that this was sent to")
	}
	return nil
}

func (j *judge) checkSender(in *Inbound, env *message.Envelope) *Refusal {
	switch {
	case in.Trusted:
		return nil
	case in.From != "":
		if env.From != in.From {
			return Refuse("from_mismatch", "\"from\" is not the landline of the account that sent this")
		}
	case j.inbox(in) == "":
		// Neither a proven sender nor an inbox: nobody vouches for anything.
		return Refuse("unknown_sender", "the sender's account is not that of a landline")
	}
	return nil
}

func (j *judge) checkGroup(in *Inbound, env *message.Envelope) *Refusal {
	if in.Room != "" && env.GroupJID != in.Room {
		return Refuse("room_mismatch", "\"groupJid\" is not the room this was sent into")
	}
	if !j.now.Serves(env.GroupJID) {
		return Refuse("unknown_room", "\"groupJid\" names a room that this relay does not serve")
	}
	if in.To != "" && env.To != "" && env.To != in.To {
		return Refuse("to_mismatch", "\"to\" is not the landline that this was sent to")
	}
	return nil
}

func (j *judge) ignore(rec *Record, reason string) *Record {
	rec.Verdict, rec.Reason, rec.Deliveries, rec.Body = VerdictIgnore, reason, nil, nil
	return rec
}

// reject makes the record of a refusal, with the answer its sender gets: a stanza error where the wire can
// answer, a notice where the sender named in a sound envelope has an inbox and no other way to learn of it.
func (j *judge) reject(rec *Record, in *Inbound, from string, why *Refusal) *Record {
	rec.Verdict, rec.Reason, rec.Deliveries = VerdictReject, why.Reason, nil
	switch {
	case !in.Reply.IsZero():
		if sender := in.Reply.Sender; j.limit.allow(sender) {
			// A lane for each: a sender who cannot be answered now holds up no other one's answer.
			rec.Deliveries = []Delivery{{Side: j.side, Kind: KindError, Lane: "e\x00" + sender,
				Note: Note{Reply: in.Reply, Reason: why.Reason, Text: why.Text, At: j.nowMS()}}}
		}
	case j.side == MQTT && from != "" && j.notices:
		// Whose name it is is not proven: the journal keeps, and the notice says, only which message it was.
		if j.limit.allowOn(in.To, from) {
			rec.From = from
			rec.Body = message.KeyFields(in.Body, &j.rules, j.now.Serves)
			rec.Deliveries = []Delivery{NoticeDelivery(from, Note{Status: "failed", Text: why.Text, At: j.nowMS()})}
		}
	}
	if len(rec.Deliveries) == 0 || rec.Deliveries[0].Kind != KindNotice {
		rec.Body = nil // nothing will be made of it
	}
	return rec
}

// NoticeDelivery is a notice for a sender; all notices of one sender keep their order in a lane of their own.
func NoticeDelivery(from string, note Note) Delivery {
	return Delivery{Side: MQTT, Kind: KindNotice, To: from, Lane: "n\x00" + from, Note: note}
}

// chatter tells whether what was heard in a room is no envelope at all, rather than a bad one: people talk there,
// and are not to be answered with errors. A refused stanza of which the side shows no body may be anything.
func chatter(in *Inbound, err error) bool {
	if in.Room == "" || in.Refused != nil && len(in.Body) == 0 {
		return false
	}
	return isText(in.Body) || refusalOf(err).Reason == message.NotJSON
}

// isText tells whether a body is what a person types, rather than an envelope, sound or not.
func isText(body []byte) bool {
	return !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
}

// PlainText is the reason of a text that somebody has written to the relay itself, where it can be answered.
const PlainText = "plain_text"

// plainText tells a person what to do: "not valid JSON" says nothing to one who has never heard of it.
const plainText = "Nobody has got your message, as this account does not read plain text: use the app that belongs to this service, " +
	`write to the person's own address, or send JSON such as {"from":"1001","to":"1002","content":"hello"}.`

func refusalOf(err error) *Refusal {
	var r *message.Refusal
	if errors.As(err, &r) {
		return &Refusal{Reason: r.Reason, Text: r.Text}
	}
	return Refuse("unreadable", "%v", err)
}

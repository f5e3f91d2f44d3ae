package picture

import "chatrelay/bridge"

// Who sent a stanza may have no inbox: that its message failed after it was taken is said by stanza error too. All that
// one sender is told so is in a lane of its own (FailureLane).
//
// FailureLane begins the names of such lanes.
const FailureLane = "f\x00"

// FailureLaneOf is the lane of all errors that one sender is told.
func FailureLaneOf(reply bridge.ReplyTo) string { return FailureLane + reply.Sender }

// Notice is the notice delivery for a sender; all notices of one sender keep their order in a lane of their own.
func Notice(from string, note bridge.Note, at int64) bridge.Delivery {
	note.At = at
	return bridge.Delivery{Side: bridge.MQTT, Kind: bridge.KindNotice, To: from, Lane: "n\x00" + from, Note: note}
}

// Receipt tells the sender of a stanza that it was delivered.
func Receipt(from string, reply bridge.ReplyTo, at int64) bridge.Delivery {
	return bridge.Delivery{Side: bridge.XMPP, Kind: bridge.KindReceipt, Lane: "r\x00" + from, Note: bridge.Note{Reply: reply, At: at}}
}

// StanzaError is the stanza error about a message that was taken before.
func StanzaError(reply bridge.ReplyTo, reason, text string, at int64) bridge.Delivery {
	return bridge.Delivery{Side: bridge.XMPP, Kind: bridge.KindError, Lane: FailureLaneOf(reply),
		Note: bridge.Note{Status: "failed", Reason: reason, Text: text, Reply: reply, At: at}}
}

// tellSent tells the sender of a message that all of it has arrived.
func (p *Picture) tellSent(m *Message) {
	if p.Rules.Sent && m.From != "" {
		p.addAnswer(m, answerOutcome, Notice(m.From, bridge.Note{Status: "sent"}, p.Head.At))
	}
	if m.Receipt {
		p.addAnswer(m, answerReceipt, Receipt(m.From, bridge.ParseReplyTo(m.Reply), p.Head.At))
	}
}

// tellFailed tells the sender of a message that it failed: in the inbox, and by stanza error who sent a stanza. That
// one is sent once, whatever a requeue makes of the message later: its client has marked it.
func (p *Picture) tellFailed(m *Message, slot uint16, reason, text string) {
	if p.Rules.Failed && m.From != "" {
		p.addAnswer(m, slot, Notice(m.From, bridge.Note{Status: "failed", Text: text}, p.Head.At))
	}
	if m.Reply != "" && m.Base == m.Copies {
		p.addAnswer(m, answerError, StanzaError(bridge.ParseReplyTo(m.Reply), reason, text, p.Head.At))
	}
}

// addAnswer adds an answer to a message.
func (p *Picture) addAnswer(m *Message, slot uint16, d bridge.Delivery) {
	p.change(m).Answers++
	p.newDelivery(m, m.Base+slot, d)
}

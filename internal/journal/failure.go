package journal

import (
	"strings"

	"chatrelay/bridge"
)

// Who sent a stanza may have no inbox: that its message failed after it was taken is said by stanza error too.
// None is dropped, but a sender gets at most one in failurePace: what fails by the thousand must not become a
// flood, which servers answer by slowing the whole stream down. So they have a lane of their own, whose pace holds
// up nothing else, and wait there as any other delivery does.
const (
	failureLane = "f\x00"
	failurePace = 100 // ms
	// retriesWaiting: a sender who has so many errors to come is not told of each retry, too.
	retriesWaiting = 10
)

func paceOf(lane string) int64 {
	if strings.HasPrefix(lane, failureLane) {
		return failurePace
	}
	return 0
}

// failureLaneOf is the lane of all that one sender is told.
func failureLaneOf(reply bridge.ReplyTo) string { return failureLane + reply.Sender }

// failure is the stanza error about a message that was taken before.
func (t *txn) failure(reply bridge.ReplyTo, reason, text string) bridge.Delivery {
	return bridge.Delivery{Side: bridge.XMPP, Kind: bridge.KindError, Lane: failureLaneOf(reply),
		Note: bridge.Note{Status: "failed", Reason: reason, Text: text, Reply: reply, At: t.now}}
}

// tellFailed tells the sender of a message that it failed: in the inbox, and by stanza error who sent a stanza. That
// one is sent once, whatever a requeue makes of the message later: its client has marked it.
func (t *txn) tellFailed(m *entry, slot uint16, reason, text string) {
	if t.j.opt.Notices.Failed {
		t.addAnswers(m, slot, t.notice(nil, m.from, bridge.Note{Status: "failed", Text: text}))
	}
	if m.reply != "" && m.durable.base == m.copies {
		t.addAnswers(m, answerError, []bridge.Delivery{t.failure(bridge.ParseReplyTo(m.reply), reason, text)})
	}
}

// refuseTaken tells the sender of a stanza that the journal refuses what was to be taken.
func (t *txn) refuseTaken(r *bridge.Record, why *bridge.Refusal) bridge.Outcome {
	t.count(refused, r.Origin, why.Reason, 1)
	if !r.Reply.IsZero() {
		answer := *r
		answer.Body = nil
		t.takeAnswers(&answer, []bridge.Delivery{t.failure(r.Reply, why.Reason, why.Text)})
	}
	return t.countReceived(r, bridge.OutcomeRefused)
}

// retryFailed adds to the answers of a retry the stanza error, unless many of them wait.
func (t *txn) retryFailed(deliveries []bridge.Delivery, r *bridge.Record, text string) []bridge.Delivery {
	n := t.j.lanes[laneKey{bridge.XMPP, failureLaneOf(r.Reply)}]
	if r.Reply.IsZero() || n != nil && n.refs >= retriesWaiting {
		return deliveries
	}
	return append(deliveries, t.failure(r.Reply, "failed_before", text))
}

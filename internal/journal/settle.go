package journal

import (
	"errors"
	"fmt"
	"strings"

	"chatrelay/bridge"
)

// settleOp settles or buries deliveries.
type settleOp struct {
	results        []bridge.Result
	unprovenBefore uint64 // number of the last unproven one before it
}

func (o *settleOp) size() (int, int) { return len(o.results), 0 }

func (o *settleOp) apply(t *txn) {
	unprovenNo := o.unprovenBefore
	for _, r := range o.results {
		if r.Unproven && r.Err == nil {
			unprovenNo++
		}
		m := t.j.entries[r.Ref.Msg]
		if m == nil {
			continue // closed before
		}
		d := m.delivery(r.Ref.Delivery)
		if d == nil {
			continue
		}
		t.setState(d.lane.side, r.State)
		if r.Unproven && r.Err == nil {
			t.addUnproven(d, unprovenNo)
		}
		if r.Body != nil && r.Err != nil && m.copies == 1 && !d.durable.gone && !d.durable.dead {
			t.cut(m, r.Body)
		}
		t.settle(d, reasonOf(r.Err))
	}
}

// cut puts something else in the place of a message's body. Its size stays what waiting was reckoned by.
func (t *txn) cut(m *entry, body []byte) {
	before := m.cut
	t.undo = append(t.undo, func() { m.cut = before })
	t.j.uncache(m) // it is read from the file until then
	m.cut = uint32(max(1, len(body)))
	t.cuts = append(t.cuts, cutBody{m, body})
}

func (o *settleOp) end(_ *Journal, err error) bool { return err != nil }

// reasonOf is nil for what is settled. Sides and dispatchers bury with a *Refusal; anything else is put into one.
func reasonOf(err error) *bridge.Refusal {
	if err == nil {
		return nil
	}
	var why *bridge.Refusal
	if errors.As(err, &why) {
		return why
	}
	return bridge.Refuse("undeliverable", "%v", err)
}

// settle settles a delivery, or buries it; the last message delivery closes its message.
func (t *txn) settle(d *delivery, why *bridge.Refusal) {
	if d.durable.gone || d.durable.dead {
		return
	}
	if d.state == queued { // closed under a number that nobody was told yet
		d.lane.remove(d)
		d.state = settling
		t.cancelled = append(t.cancelled, d)
	}
	t.unbind(d)
	b, m := t.snapshotDelivery(d), d.entry
	mb := t.snapshot(m)
	if !d.kind.IsMessage() {
		b.gone = true
		mb.answers--
		if why != nil {
			t.count(answerDead, m.origin, why.Reason, 1)
		}
		t.markIdle(m)
		return
	}
	mb.open--
	t.open[d.lane.side]--
	if why == nil {
		b.gone = true
	} else {
		b.dead = true
		mb.dead++
		d.note = &bridge.Note{Reason: why.Reason, Text: why.Text, At: t.now, Post: d.post}
		t.dead.addDead(m, d)
	}
	if mb.open == 0 {
		t.finish(m)
	}
	t.markIdle(m)
}

// finish counts a message whose last message delivery is closed, and tells its sender.
func (t *txn) finish(m *entry) {
	t.pending[m.origin]--
	t.pinned -= int64(m.keys)
	t.cancelDelayed(m)
	if m.durable.dead+m.durable.dropped > 0 {
		t.finishDead(m)
		return
	}
	t.count(delivered, m.origin, "", 1)
	t.settled = append(t.settled, finished{m, t.ran})
	if m.durable.bounced {
		return // its sender was told that it failed
	}
	if t.j.opt.Notices.Sent {
		t.addAnswers(m, answerOutcome, t.notice(nil, m.from, bridge.Note{Status: "sent"}))
	}
	if m.receipt {
		t.addAnswers(m, answerReceipt, []bridge.Delivery{t.receipt(m.from, bridge.ParseReplyTo(m.reply))})
	}
}

func (t *txn) finishDead(m *entry) {
	label, text := verdict(m)
	mb := t.snapshot(m)
	mb.reason, mb.changed = label, true
	mb.over = mb.dead == 0 // all that failed was dropped: there is nothing to requeue
	t.count(died, m.origin, label, 1)
	t.markFailed(m.id, text)
	if !m.durable.bounced {
		t.tellFailed(m, answerOutcome, label, text)
	}
}

// addAnswers adds an answer to a message.
func (t *txn) addAnswers(m *entry, slot uint16, deliveries []bridge.Delivery) {
	for _, d := range deliveries {
		t.newDelivery(m, m.durable.base+slot, d)
		t.snapshot(m).answers++
	}
}

// cancelDelayed takes back a "delayed" that no dispatcher has in hand yet: the outcome is known.
func (t *txn) cancelDelayed(m *entry) {
	d := m.answer(answerDelayed)
	if d == nil || d.durable.gone || d.durable.bound || d.state == handedOut || d.state == inflight || d.state == settling {
		return
	}
	if d.state == queued {
		d.lane.remove(d)
		t.cancelled = append(t.cancelled, d)
	}
	d.state = settling
	t.snapshotDelivery(d).gone = true
	t.snapshot(m).answers--
}

const namedAtMost = 10

// verdict is the label and the sentence for a dead message: for a group how many and who.
func verdict(m *entry) (label, text string) {
	label, text = "dropped", "given up by the relay's keeper"
	failed := int(m.durable.dead) + int(m.durable.dropped)
	var names []string
	for _, d := range m.deliveries[:m.copies] {
		if d == nil || !d.durable.dead {
			continue
		}
		if len(names) == 0 {
			label = d.note.Reason
			if text = d.note.Text; text == "" {
				text = label
			}
		}
		if len(names) < namedAtMost {
			names = append(names, d.to)
		}
	}
	if m.copies == 1 {
		return label, text
	}
	who := strings.Join(names, ", ")
	if more := failed - len(names); more > 0 {
		who = strings.TrimSpace(fmt.Sprintf("%s and %d more", who, more))
	}
	return label, fmt.Sprintf("%d of %d not delivered: %s (%s)", failed, m.copies, who, text)
}

// bounceOp is a delivery that the far side gave back.
type bounceOp struct {
	ref bridge.Ref
	why *bridge.Refusal
}

func (o *bounceOp) size() (int, int) { return 1, 0 }

func (o *bounceOp) end(_ *Journal, err error) bool { return err != nil }

func (o *bounceOp) apply(t *txn) {
	if o.ref.Msg >= t.j.nextID {
		return // no such message was ever sent
	}
	m := t.j.entries[o.ref.Msg]
	if m != nil && o.ref.Delivery >= m.copies {
		t.bounceAnswer(m, o)
		return
	}
	if m != nil {
		if d := m.delivery(o.ref.Delivery); d != nil && !d.durable.gone {
			t.settle(d, o.why) // not settled yet: a dead letter, not a bounce
			return
		}
	}
	t.bounceSettled(o.ref.Msg, m, o.why)
}

// bounceSettled notes that a settled delivery of a message did not arrive, and tells its sender, once. m is nil when its
// hour is over or it is a dead letter: the key is still good for a retry's answer.
func (t *txn) bounceSettled(id uint64, m *entry, why *bridge.Refusal) {
	if m == nil {
		t.count(bounced, 0, why.Reason, 1)
		if _, known := t.j.dedup.failure(id); !known {
			t.markFailed(id, refusalText(why))
		}
		return
	}
	t.count(bounced, m.origin, why.Reason, 1)
	if m.durable.bounced || m.durable.dead > 0 && !m.pending() {
		return // its sender knows
	}
	t.snapshot(m).bounced = true
	t.markFailed(m.id, refusalText(why))
	t.tellFailed(m, answerBounce, why.Reason, refusalText(why))
}

// bounceAnswer: that an answer did not arrive says nothing about the message.
func (t *txn) bounceAnswer(m *entry, o *bounceOp) {
	if d := m.delivery(o.ref.Delivery); d != nil && !d.durable.gone {
		t.settle(d, o.why)
		return
	}
	t.count(answerDead, m.origin, o.why.Reason, 1)
}

func refusalText(why *bridge.Refusal) string {
	if why.Text != "" {
		return why.Text
	}
	return why.Reason
}

// delayOp tells the senders of messages that have waited long, once each.
type delayOp struct {
	entries []*entry
	done    chan error // capacity 1
}

func (o *delayOp) size() (int, int) { return len(o.entries), 0 }

func (o *delayOp) apply(t *txn) {
	for _, m := range o.entries {
		if !m.pending() || m.durable.delayed {
			continue
		}
		b := t.snapshot(m)
		b.delayed, b.changed = true, true
		t.addAnswers(m, answerDelayed, t.notice(nil, m.from, bridge.Note{Status: "delayed"}))
	}
}

func (o *delayOp) end(_ *Journal, err error) bool {
	select {
	case o.done <- err:
	default: // it was told the first time; the journal goes on trying
	}
	return err != nil
}

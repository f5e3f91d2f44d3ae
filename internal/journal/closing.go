package journal

import (
	"errors"
	"fmt"
	"strings"

	"chatrelay/bridge"
)

// closeOp settles or buries deliveries.
type closeOp struct {
	results []bridge.Result
	mark    uint64 // number of the last unproven one before it
}

func (o *closeOp) size() (int, int) { return len(o.results), 0 }

func (o *closeOp) apply(t *txn) {
	mark := o.mark
	for _, r := range o.results {
		if r.Unproven && r.Err == nil {
			mark++
		}
		m := t.j.letters[r.Ref.Msg]
		if m == nil {
			continue // closed before
		}
		l := m.leg(r.Ref.Delivery)
		if l == nil {
			continue
		}
		t.setState(l.lane.side, r.State)
		if r.Unproven && r.Err == nil {
			t.unprove(l, mark)
		}
		t.close(l, reasonOf(r.Err))
	}
}

func (o *closeOp) end(_ *Journal, err error) bool { return err != nil }

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

// close settles a delivery, or buries it; the last message delivery closes its message.
func (t *txn) close(l *leg, why *bridge.Refusal) {
	if l.book.gone || l.book.dead {
		return
	}
	if l.stand == waiting { // closed under a number that nobody was told yet
		l.lane.remove(l)
		l.stand = closing
		t.drops = append(t.drops, l)
	}
	t.unbind(l)
	b, m := t.touchLeg(l), l.letter
	mb := t.touch(m)
	if !l.kind.IsMessage() {
		b.gone = true
		mb.answers--
		if why != nil {
			t.count(lostWords, m.origin, why.Reason, 1)
		}
		t.idle(m)
		return
	}
	mb.open--
	t.open[l.lane.side]--
	if why == nil {
		b.gone = true
	} else {
		b.dead = true
		mb.dead++
		l.note = &bridge.Note{Reason: why.Reason, Text: why.Text, At: t.now, Post: l.post}
		t.dead.addDead(m)
	}
	if mb.open == 0 {
		t.finish(m)
	}
	t.idle(m)
}

// finish counts a message whose last message delivery is closed, and tells its sender.
func (t *txn) finish(m *letter) {
	t.pending[m.origin]--
	t.pinned -= int64(m.keys)
	t.hush(m)
	if m.book.dead+m.book.dropped > 0 {
		t.finishDead(m)
		return
	}
	t.count(delivered, m.origin, "", 1)
	t.settled = append(t.settled, finished{m, t.ran})
	if m.book.bounced {
		return // its sender was told that it failed
	}
	if t.j.opt.Notices.Sent {
		t.tell(m, answerOutcome, t.notice(nil, m.from, bridge.Note{Status: "sent"}))
	}
	if m.receipt {
		t.tell(m, answerReceipt, []bridge.Delivery{t.receipt(m.from, bridge.ParseReplyTo(m.reply))})
	}
}

func (t *txn) finishDead(m *letter) {
	label, text := verdict(m)
	mb := t.touch(m)
	mb.reason, mb.changed = label, true
	mb.over = mb.dead == 0 // all that failed was dropped: there is nothing to requeue
	t.count(died, m.origin, label, 1)
	t.fail(m.id, text)
	if !m.book.bounced {
		t.tellFailed(m, answerOutcome, label, text)
	}
}

// tell adds an answer to a message.
func (t *txn) tell(m *letter, slot uint16, legs []bridge.Delivery) {
	for _, l := range legs {
		t.leg(m, m.book.base+slot, l)
		t.touch(m).answers++
	}
}

// hush takes back a "delayed" that no dispatcher has in hand yet: the outcome is known.
func (t *txn) hush(m *letter) {
	l := m.answer(answerDelayed)
	if l == nil || l.book.gone || l.book.bound || l.stand == out || l.stand == held || l.stand == closing {
		return
	}
	if l.stand == waiting {
		l.lane.remove(l)
		t.drops = append(t.drops, l)
	}
	l.stand = closing
	t.touchLeg(l).gone = true
	t.touch(m).answers--
}

const namedAtMost = 10

// verdict is the label and the sentence for a dead message: for a group how many and who.
func verdict(m *letter) (label, text string) {
	label, text = "dropped", "given up by the relay's keeper"
	failed := int(m.book.dead) + int(m.book.dropped)
	var names []string
	for _, l := range m.legs[:m.mail] {
		if l == nil || !l.book.dead {
			continue
		}
		if len(names) == 0 {
			label = l.note.Reason
			if text = l.note.Text; text == "" {
				text = label
			}
		}
		if len(names) < namedAtMost {
			names = append(names, l.to)
		}
	}
	if m.mail == 1 {
		return label, text
	}
	who := strings.Join(names, ", ")
	if more := failed - len(names); more > 0 {
		who = strings.TrimSpace(fmt.Sprintf("%s and %d more", who, more))
	}
	return label, fmt.Sprintf("%d of %d not delivered: %s (%s)", failed, m.mail, who, text)
}

// bounceOp is a delivery that the far side gave back.
type bounceOp struct {
	ref bridge.Ref
	why *bridge.Refusal
}

func (o *bounceOp) size() (int, int) { return 1, 0 }

func (o *bounceOp) end(_ *Journal, err error) bool { return err != nil }

func (o *bounceOp) apply(t *txn) {
	if o.ref.Msg >= t.j.next {
		return // no such message was ever sent
	}
	m := t.j.letters[o.ref.Msg]
	if m != nil && o.ref.Delivery >= m.mail {
		t.bounceAnswer(m, o)
		return
	}
	if m != nil {
		if l := m.leg(o.ref.Delivery); l != nil && !l.book.gone {
			t.close(l, o.why) // not settled yet: a dead letter, not a bounce
			return
		}
	}
	t.returned(o.ref.Msg, m, o.why)
}

// returned notes that a settled delivery of a message did not arrive, and tells its sender, once. m is nil when its
// hour is over or it is a dead letter: the key is still good for a retry's answer.
func (t *txn) returned(id uint64, m *letter, why *bridge.Refusal) {
	if m == nil {
		t.count(bounced, 0, why.Reason, 1)
		if _, known := t.j.dedup.why(id); !known {
			t.fail(id, text(why))
		}
		return
	}
	t.count(bounced, m.origin, why.Reason, 1)
	if m.book.bounced || m.book.dead > 0 && !m.pending() {
		return // its sender knows
	}
	t.touch(m).bounced = true
	t.fail(m.id, text(why))
	t.tellFailed(m, answerBounce, why.Reason, text(why))
}

// bounceAnswer: that an answer did not arrive says nothing about the message.
func (t *txn) bounceAnswer(m *letter, o *bounceOp) {
	if l := m.leg(o.ref.Delivery); l != nil && !l.book.gone {
		t.close(l, o.why)
		return
	}
	t.count(lostWords, m.origin, o.why.Reason, 1)
}

func text(why *bridge.Refusal) string {
	if why.Text != "" {
		return why.Text
	}
	return why.Reason
}

// delayOp tells the senders of messages that have waited long, once each.
type delayOp struct {
	letters []*letter
	done    chan error // capacity 1
}

func (o *delayOp) size() (int, int) { return len(o.letters), 0 }

func (o *delayOp) apply(t *txn) {
	for _, m := range o.letters {
		if !m.pending() || m.book.delayed {
			continue
		}
		b := t.touch(m)
		b.delayed, b.changed = true, true
		t.tell(m, answerDelayed, t.notice(nil, m.from, bridge.Note{Status: "delayed"}))
	}
}

func (o *delayOp) end(_ *Journal, err error) bool {
	select {
	case o.done <- err:
	default: // it was told the first time; the journal goes on trying
	}
	return err != nil
}

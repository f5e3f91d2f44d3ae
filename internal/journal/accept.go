package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"chatrelay/bridge"
	"chatrelay/message"
)

// Names of the sums that the promise is made of.
const (
	received  = "received"
	delivered = "delivered"
	duplicate = "duplicate"
	ignored   = "ignored"
	refused   = "refused"
	died      = "dead"
	bounced   = "bounced"
	evicted   = "evicted"     // keys forgotten early, for want of DEDUP_MAX_KEYS
	lostWords = "answer_dead" // notices, receipts and errors that could not be delivered
)

// Append implements bridge.Appender. When ctx ends before the writer has taken the records, nothing of them is
// kept; after that Append waits for the commit, as its outcome must be known.
func (j *Journal) Append(ctx context.Context, recs []*bridge.Record) error {
	if len(recs) == 0 {
		return nil
	}
	o := &appendOp{recs: recs, outcomes: make([]bridge.Outcome, len(recs)), done: make(chan error, 1)}
	for _, r := range recs {
		r.Outcome = bridge.OutcomeUnknown
		o.bytes += len(r.Body)
	}
	if err := j.enqueue(o); err != nil {
		return fmt.Errorf("journal: append: %w", err)
	}
	var err error
	select {
	case err = <-o.done:
	case <-ctx.Done():
		if j.withdraw(o) {
			return ctx.Err()
		}
		err = <-o.done
	}
	if err != nil {
		return fmt.Errorf("journal: append: %w", err)
	}
	for i, r := range recs {
		r.Outcome = o.outcomes[i]
	}
	return nil
}

type appendOp struct {
	recs     []*bridge.Record
	outcomes []bridge.Outcome
	bytes    int
	done     chan error // capacity 1: the writer never waits
}

func (o *appendOp) size() (int, int) { return len(o.recs), o.bytes }

func (o *appendOp) apply(t *txn) {
	var turned []uint64 // connections whose wire brings again all from here on
	for i, r := range o.recs {
		if r.Redelivers && slices.Contains(turned, r.Gen) {
			o.outcomes[i] = bridge.OutcomeFull
			continue
		}
		if o.outcomes[i] = t.record(r); o.outcomes[i] == bridge.OutcomeFull && r.Redelivers {
			turned = append(turned, r.Gen)
		}
	}
}

func (o *appendOp) end(_ *Journal, err error) bool {
	if err != nil && full(err) {
		err = errors.Join(bridge.ErrFull, err)
	}
	o.done <- err
	return false
}

// record takes one offer in.
func (t *txn) record(r *bridge.Record) bridge.Outcome {
	switch r.Verdict {
	case bridge.VerdictIgnore:
		t.count(ignored, r.Origin, r.Reason, 1)
		return t.counted(r, bridge.OutcomeIgnored)
	case bridge.VerdictReject:
		if t.knows(r) {
			t.count(duplicate, r.Origin, "", 1)
			return t.counted(r, bridge.OutcomeDuplicate)
		}
		return t.refuse(r)
	}
	if t.repeats(r) {
		t.count(duplicate, r.Origin, "", 1)
		return t.counted(r, bridge.OutcomeDuplicate)
	}
	switch {
	case len(r.Deliveries) == 0 || len(r.Deliveries) > maxMail:
		return t.refuseTaken(r, bridge.Refuse("bad_legs", "the message needs more deliveries than the relay can make"))
	case t.isFull(r):
		return bridge.OutcomeFull
	case t.overShare(r):
		return t.refuseBusy(r)
	}
	t.take(r)
	return t.counted(r, bridge.OutcomeTaken)
}

// counted is the counter at the door, and the wire state that goes with every final outcome.
func (t *txn) counted(r *bridge.Record, what bridge.Outcome) bridge.Outcome {
	t.count(received, r.Origin, "", 1)
	t.setState(r.Origin, r.State)
	return what
}

// refuse counts a refusal; its answers are a row of their own.
func (t *txn) refuse(r *bridge.Record) bridge.Outcome {
	t.count(refused, r.Origin, r.Reason, 1)
	if len(r.Deliveries) > 0 {
		t.answers(r, r.Deliveries)
	}
	return t.counted(r, bridge.OutcomeRefused)
}

// repeats tells whether the journal knows the record, and answers a sender's retry.
func (t *txn) repeats(r *bridge.Record) bool {
	if r.WireKey != (message.Key{}) {
		if _, ok := t.j.dedup.find(r.Origin, r.WireKey); ok {
			return true
		}
	}
	for _, key := range r.Keys {
		m, echo, ok := t.j.known(r.Origin, key)
		if !ok {
			continue
		}
		if echo {
			return true
		}
		t.learnAgain(r, m.msg())
		if !r.Redelivered && (r.Origin != bridge.MQTT || m.via == viaHash(r.Via)) {
			t.retry(r, m.msg())
		}
		return true
	}
	return false
}

// knows tells whether the journal knows a key of a refusal.
func (t *txn) knows(r *bridge.Record) bool {
	for _, key := range r.Keys {
		if _, _, ok := t.j.known(r.Origin, key); ok {
			return true
		}
	}
	return false
}

// learn remembers those keys of a record that are not known yet.
func (t *txn) learn(r *bridge.Record, msg uint64) (packed []byte) {
	via := viaHash(r.Via)
	for _, key := range r.Keys {
		if _, ok := t.j.dedup.find(r.Origin, key); !ok {
			t.remember(seenKey{key, r.Origin, newMark(msg, via)})
			packed = append(packed, key[:]...)
		}
	}
	if r.WireKey != (message.Key{}) {
		if _, ok := t.j.dedup.find(r.Origin, r.WireKey); !ok {
			t.remember(seenKey{r.WireKey, r.Origin, newMark(msg, via)})
			packed = append(packed, r.WireKey[:]...)
		}
	}
	return packed
}

// learnAgain remembers what a repetition brings, so that the wire's redelivery of it is silent too. What
// became of the message must be known for as long as its youngest key.
func (t *txn) learnAgain(r *bridge.Record, msg uint64) {
	if len(t.learn(r, msg)) == 0 {
		return
	}
	if why, failed := t.j.dedup.why(msg); failed {
		t.fail(msg, why)
	}
}

// retry answers a sender who sends again what the journal has: by what became of the first one.
func (t *txn) retry(r *bridge.Record, msg uint64) {
	if m := t.j.letters[msg]; m != nil && m.pending() {
		return
	}
	var legs []bridge.Delivery
	why, failed := t.j.dedup.why(msg)
	switch {
	case failed && t.j.opt.Notices.Failed:
		legs = t.notice(legs, r.From, bridge.Note{Status: "failed", Text: why})
	case !failed && t.j.opt.Notices.Sent:
		legs = t.notice(legs, r.From, bridge.Note{Status: "sent"})
	}
	if !failed && r.Receipt {
		legs = append(legs, t.receipt(r.From, r.Reply))
	}
	if failed {
		legs = t.retryFailed(legs, r, why)
	}
	if len(legs) > 0 {
		t.answers(r, legs)
	}
}

// take writes a message with its keys and deliveries.
func (t *txn) take(r *bridge.Record) {
	m := t.letter(r, r.ID)
	m.mail, m.reply, m.receipt = uint16(len(r.Deliveries)), r.Reply.Stored(), r.Receipt
	m.book.base, m.book.open = m.mail, m.mail
	packed := t.learn(r, m.id)
	m.keys = uint16(len(packed) / len(message.Key{}))
	t.pinned += int64(m.keys)
	t.bear(m, r.Body, packed)
	m.legs = make([]*leg, 0, len(r.Deliveries))
	for i, l := range r.Deliveries {
		t.leg(m, uint16(i), l)
		t.open[l.Side]++
	}
	t.pending[r.Origin]++
}

// answers writes a row that only carries answers.
func (t *txn) answers(r *bridge.Record, legs []bridge.Delivery) {
	if t.overflows(r, len(legs)) {
		t.count(lostWords, r.Origin, "full", int64(len(legs)))
		return
	}
	m := t.letter(r, 0)
	m.book.answers = uint16(len(legs))
	m.book.delayed = true // there is nothing to be delayed
	t.bear(m, r.Body, nil)
	for i, l := range legs {
		t.leg(m, uint16(i), l)
	}
}

func (t *txn) letter(r *bridge.Record, id uint64) *letter {
	if id == 0 || t.j.letters[id] != nil {
		id = t.j.newNumber()
	}
	return &letter{id: id, at: t.now, born: t.ran, from: r.From, origin: r.Origin, size: uint32(len(r.Body))}
}

// bear puts a message into the picture; dispatchers see its deliveries after the commit.
func (t *txn) bear(m *letter, body, keys []byte) {
	t.j.letters[m.id] = m
	t.born = append(t.born, born{m, keys, body})
	t.j.keep(m, body)
	t.bytes += int64(len(body) + len(keys) + 60)
}

func (t *txn) leg(m *letter, num uint16, l bridge.Delivery) {
	t.j.seq++
	name := l.Lane
	if l.Behind != "" && t.j.lanes[laneKey{l.Side, l.Behind}] != nil { // a lane goes with its last open delivery
		name = l.Behind
	}
	n := t.j.lane(l.Side, name)
	made := &leg{letter: m, lane: n, to: n.part(l.To), seq: t.j.seq, num: num, kind: l.Kind, post: l.Note.Post}
	if l.Note != (bridge.Note{}) {
		made.note = t.notes.keep(l.Note)
	}
	if len(m.legs) == 0 {
		m.from = n.part(m.from)
	}
	t.j.hold(made)
	m.legs = append(m.legs, made)
	t.legs = append(t.legs, made)
	t.bytes += int64(len(l.To) + len(l.Lane) + 60)
}

// notice adds the notice delivery for a sender; all notices of one sender keep their order in a lane of their own.
func (t *txn) notice(legs []bridge.Delivery, from string, note bridge.Note) []bridge.Delivery {
	if from == "" {
		return legs
	}
	note.At = t.now
	return append(legs, bridge.Delivery{Side: bridge.MQTT, Kind: bridge.KindNotice, To: from, Lane: "n\x00" + from, Note: note})
}

func (t *txn) receipt(from string, reply bridge.ReplyTo) bridge.Delivery {
	return bridge.Delivery{Side: bridge.XMPP, Kind: bridge.KindReceipt, Lane: "r\x00" + from, Note: bridge.Note{Reply: reply, At: t.now}}
}

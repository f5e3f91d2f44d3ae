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
	received   = "received"
	delivered  = "delivered"
	duplicate  = "duplicate"
	ignored    = "ignored"
	refused    = "refused"
	died       = "dead"
	bounced    = "bounced"
	evicted    = "evicted"     // keys forgotten early, for want of DEDUP_MAX_KEYS
	answerDead = "answer_dead" // notices, receipts and errors that could not be delivered
)

// Append implements bridge.Appender. When ctx ends before the writer has taken the records, nothing of them is
// kept; after that Append waits for the commit, as its outcome must be known.
func (j *Journal) Append(ctx context.Context, recs []*bridge.Record) error {
	if len(recs) == 0 {
		return nil
	}
	o := &appendOp{recs: recs, outcomes: make([]bridge.Outcome, len(recs)), numbers: make([]uint64, len(recs)), done: make(chan error, 1)}
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
		r.Outcome, r.Number = o.outcomes[i], o.numbers[i]
	}
	return nil
}

type appendOp struct {
	recs     []*bridge.Record
	outcomes []bridge.Outcome
	numbers  []uint64 // Record.Number
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
		t.about = 0
		o.outcomes[i] = t.record(r)
		if o.numbers[i] = t.about; o.outcomes[i] == bridge.OutcomeFull && r.Redelivers {
			turned = append(turned, r.Gen)
		}
	}
}

func (o *appendOp) end(_ *Journal, err error) bool {
	if err != nil && diskFull(err) {
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
		return t.countReceived(r, bridge.OutcomeIgnored)
	case bridge.VerdictReject:
		if t.knows(r) {
			if r.Reason == bridge.NotMember { // who left since then sends again what was taken
				t.retried(r)
			}
			t.count(duplicate, r.Origin, "", 1)
			return t.countReceived(r, bridge.OutcomeDuplicate)
		}
		return t.refuse(r)
	}
	if t.repeats(r) {
		t.count(duplicate, r.Origin, "", 1)
		return t.countReceived(r, bridge.OutcomeDuplicate)
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
	return t.countReceived(r, bridge.OutcomeTaken)
}

// countReceived is the counter offered, and the wire state that goes with every final outcome.
func (t *txn) countReceived(r *bridge.Record, what bridge.Outcome) bridge.Outcome {
	t.count(received, r.Origin, "", 1)
	t.setState(r.Origin, r.State)
	return what
}

// refuse counts a refusal; its answers are a row of their own.
func (t *txn) refuse(r *bridge.Record) bridge.Outcome {
	t.count(refused, r.Origin, r.Reason, 1)
	if len(r.Deliveries) > 0 {
		answer := *r
		if r.Deliveries[0].Kind != bridge.KindNotice {
			answer.Body = nil // nothing is made of it
		}
		t.takeAnswers(&answer, r.Deliveries)
	}
	return t.countReceived(r, bridge.OutcomeRefused)
}

// repeats tells whether the journal knows the record, and answers a sender's retry.
func (t *txn) repeats(r *bridge.Record) bool {
	if r.WireKey != (message.Key{}) {
		if first, ok := t.j.dedup.find(r.Origin, r.WireKey); ok {
			t.about = first.msg()
			return true
		}
	}
	for _, key := range r.Keys {
		first, echo, ok := t.j.known(r.Origin, key)
		if !ok {
			continue
		}
		t.about = first.msg()
		if echo {
			return true
		}
		t.rememberRepeat(r, first.msg())
		if !r.Redelivered && (r.Origin != bridge.MQTT || first.via == viaHash(r.Via)) {
			t.answerRetry(r, first.msg())
		}
		return true
	}
	return false
}

// knows tells whether the journal knows a key of a refusal.
func (t *txn) knows(r *bridge.Record) bool {
	for _, key := range r.Keys {
		if first, _, ok := t.j.known(r.Origin, key); ok {
			t.about = first.msg()
			return true
		}
	}
	return false
}

// retried answers a sender's retry of what he may no longer send.
func (t *txn) retried(r *bridge.Record) {
	for _, key := range r.Keys {
		m, echo, ok := t.j.known(r.Origin, key)
		if ok && !echo && !r.Redelivered && (r.Origin != bridge.MQTT || m.via == viaHash(r.Via)) {
			t.answerRetry(r, m.msg())
		}
		if ok {
			return
		}
	}
}

// rememberKeys remembers those keys of a record that are not known yet.
func (t *txn) rememberKeys(r *bridge.Record, msg uint64) (packed []byte) {
	via := viaHash(r.Via)
	for _, key := range r.Keys {
		if _, ok := t.j.dedup.find(r.Origin, key); !ok {
			t.addKey(seenKey{key, r.Origin, newDedupEntry(msg, via)})
			packed = append(packed, key[:]...)
		}
	}
	if r.WireKey != (message.Key{}) {
		if _, ok := t.j.dedup.find(r.Origin, r.WireKey); !ok {
			t.addKey(seenKey{r.WireKey, r.Origin, newDedupEntry(msg, via)})
			packed = append(packed, r.WireKey[:]...)
		}
	}
	return packed
}

// rememberRepeat remembers what a repetition brings, so that the wire's redelivery of it is silent too. What
// became of the message must be known for as long as its youngest key.
func (t *txn) rememberRepeat(r *bridge.Record, msg uint64) {
	if len(t.rememberKeys(r, msg)) == 0 {
		return
	}
	if why, failed := t.j.dedup.failure(msg); failed {
		t.markFailed(msg, why)
	}
}

// answerRetry answers a sender who sends again what the journal has: by what became of the first one.
func (t *txn) answerRetry(r *bridge.Record, msg uint64) {
	if m := t.j.entries[msg]; m != nil && m.pending() {
		return
	}
	var deliveries []bridge.Delivery
	why, failed := t.j.dedup.failure(msg)
	switch {
	case len(r.Body) == 0: // a refusal's: nothing to make a notice of
	case failed && t.j.opt.Notices.Failed:
		deliveries = t.notice(deliveries, r.From, bridge.Note{Status: "failed", Text: why})
	case !failed && t.j.opt.Notices.Sent:
		deliveries = t.notice(deliveries, r.From, bridge.Note{Status: "sent"})
	}
	if !failed && r.Receipt {
		deliveries = append(deliveries, t.receipt(r.From, r.Reply))
	}
	if failed {
		deliveries = t.retryFailed(deliveries, r, why)
	}
	if len(deliveries) > 0 {
		t.takeAnswers(brief(r), deliveries)
	}
}

// brief is a record of which only notices are made: those about what came by MQTT have key fields alone.
func brief(r *bridge.Record) *bridge.Record {
	if r.Origin != bridge.MQTT || len(r.Body) == 0 {
		return r
	}
	out := *r
	out.Body = message.KeyFields(r.Body, nil, nil)
	return &out
}

// take writes a message with its keys and deliveries.
func (t *txn) take(r *bridge.Record) {
	m := t.newEntry(r, r.ID)
	t.about = m.id
	m.copies, m.reply, m.receipt = uint16(len(r.Deliveries)), r.Reply.Stored(), r.Receipt
	if r.Expires > 0 {
		m.expires = t.ran + max(1, r.Expires.Milliseconds())
	}
	m.durable.base, m.durable.open = m.copies, m.copies
	packed := t.rememberKeys(r, m.id)
	m.keys = uint16(len(packed) / len(message.Key{}))
	t.pinned += int64(m.keys)
	t.insert(m, r.Body, packed)
	m.deliveries = make([]*delivery, 0, len(r.Deliveries))
	for i, d := range r.Deliveries {
		t.newDelivery(m, uint16(i), d)
		t.open[d.Side]++
	}
	t.pending[r.Origin]++
}

// takeAnswers writes a row that only carries answers.
func (t *txn) takeAnswers(r *bridge.Record, deliveries []bridge.Delivery) {
	if t.overflows(r, len(deliveries)) {
		t.count(answerDead, r.Origin, "full", int64(len(deliveries)))
		return
	}
	m := t.newEntry(r, 0)
	if t.about == 0 { // a refusal's
		t.about = m.id
	}
	m.durable.answers = uint16(len(deliveries))
	m.durable.delayed = true // there is nothing to be delayed
	t.insert(m, r.Body, nil)
	for i, d := range deliveries {
		t.newDelivery(m, uint16(i), d)
	}
}

func (t *txn) newEntry(r *bridge.Record, id uint64) *entry {
	if id == 0 || t.j.entries[id] != nil {
		id = t.j.newNumber()
	}
	return &entry{id: id, at: t.now, ran: t.ran, from: r.From, origin: r.Origin, size: uint32(len(r.Body))}
}

// insert puts a message into the picture; dispatchers see its deliveries after the commit.
func (t *txn) insert(m *entry, body, keys []byte) {
	t.j.entries[m.id] = m
	t.inserted = append(t.inserted, inserted{m, keys, body})
	t.j.cache(m, body)
	t.bytes += int64(len(body) + len(keys) + 60)
}

func (t *txn) newDelivery(m *entry, num uint16, d bridge.Delivery) {
	t.j.seq++
	name := d.Lane
	if d.Behind != "" && t.j.lanes[laneKey{d.Side, d.Behind}] != nil { // a lane goes with its last open delivery
		name = d.Behind
	}
	n := t.j.lane(d.Side, name)
	made := &delivery{entry: m, lane: n, to: n.part(d.To), seq: t.j.seq, num: num, kind: d.Kind, post: d.Note.Post}
	if d.Note != (bridge.Note{}) {
		made.note = t.notes.share(d.Note)
	}
	if len(m.deliveries) == 0 {
		m.from = n.part(m.from)
	}
	t.j.addWaiting(made)
	m.deliveries = append(m.deliveries, made)
	t.deliveries = append(t.deliveries, made)
	t.bytes += int64(len(d.To) + len(d.Lane) + 60)
}

// notice adds the notice delivery for a sender; all notices of one sender keep their order in a lane of their own.
func (t *txn) notice(deliveries []bridge.Delivery, from string, note bridge.Note) []bridge.Delivery {
	if from == "" {
		return deliveries
	}
	note.At = t.now
	return append(deliveries, bridge.Delivery{Side: bridge.MQTT, Kind: bridge.KindNotice, To: from, Lane: "n\x00" + from, Note: note})
}

func (t *txn) receipt(from string, reply bridge.ReplyTo) bridge.Delivery {
	return bridge.Delivery{Side: bridge.XMPP, Kind: bridge.KindReceipt, Lane: "r\x00" + from, Note: bridge.Note{Reply: reply, At: t.now}}
}

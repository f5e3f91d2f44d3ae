package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/message"
)

// Names of the sums that the promise is made of.
const (
	received   = "received"
	delivered  = picture.Delivered
	duplicate  = "duplicate"
	ignored    = "ignored"
	refused    = "refused"
	died       = picture.Died
	bounced    = picture.Bounces
	evicted    = picture.Evicted // for want of DEDUP_MAX_KEYS
	answerDead = picture.AnswerDead
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

func (o *appendOp) decide(d *decision) {
	var turned []uint64 // connections whose wire brings again all from here on
	for i, r := range o.recs {
		if r.Redelivers && slices.Contains(turned, r.Gen) {
			o.outcomes[i] = bridge.OutcomeFull
			continue
		}
		d.about = 0
		o.outcomes[i] = d.record(r)
		if o.numbers[i] = d.about; o.outcomes[i] == bridge.OutcomeFull && r.Redelivers {
			turned = append(turned, r.Gen)
		}
	}
}

func (o *appendOp) end(_ *Journal, err error) bool {
	if err != nil && sqlite.DiskFull(err) {
		err = errors.Join(bridge.ErrFull, err)
	}
	o.done <- err
	return false
}

// record takes one offer in.
func (d *decision) record(r *bridge.Record) bridge.Outcome {
	switch r.Verdict {
	case bridge.VerdictIgnore:
		d.count(ignored, r.Origin, r.Reason, 1)
		return d.countReceived(r, bridge.OutcomeIgnored)
	case bridge.VerdictReject:
		if d.knows(r) {
			if r.Reason == bridge.NotMember { // who left since then sends again what was taken
				d.retried(r)
			}
			d.count(duplicate, r.Origin, "", 1)
			return d.countReceived(r, bridge.OutcomeDuplicate)
		}
		return d.refuse(r)
	}
	if d.repeats(r) {
		d.count(duplicate, r.Origin, "", 1)
		return d.countReceived(r, bridge.OutcomeDuplicate)
	}
	switch {
	case len(r.Deliveries) == 0 || len(r.Deliveries) > picture.MostCopies:
		return d.refuseTaken(r, bridge.Refuse("bad_legs", "the message needs more deliveries than the relay can make"))
	case d.isFull(r):
		return bridge.OutcomeFull
	case d.overShare(r):
		return d.refuseBusy(r)
	}
	d.take(r)
	return d.countReceived(r, bridge.OutcomeTaken)
}

// countReceived is the counter offered, and the wire state that goes with every final outcome.
func (d *decision) countReceived(r *bridge.Record, what bridge.Outcome) bridge.Outcome {
	d.count(received, r.Origin, "", 1)
	d.setState(r.Origin, r.State)
	return what
}

// refuse counts a refusal; its answers are a row of their own.
func (d *decision) refuse(r *bridge.Record) bridge.Outcome {
	d.count(refused, r.Origin, r.Reason, 1)
	if len(r.Deliveries) > 0 {
		answer := *r
		if r.Deliveries[0].Kind != bridge.KindNotice {
			answer.Body = nil // nothing is made of it
		}
		d.takeAnswers(&answer, r.Deliveries)
	}
	return d.countReceived(r, bridge.OutcomeRefused)
}

// refuseTaken tells the sender of a stanza that the journal refuses what was to be taken.
func (d *decision) refuseTaken(r *bridge.Record, why *bridge.Refusal) bridge.Outcome {
	d.count(refused, r.Origin, why.Reason, 1)
	if !r.Reply.IsZero() {
		answer := *r
		answer.Body = nil
		d.takeAnswers(&answer, []bridge.Delivery{picture.StanzaError(r.Reply, why.Reason, why.Text, d.head.At)})
	}
	return d.countReceived(r, bridge.OutcomeRefused)
}

// repeats tells whether the journal knows the record, and answers a sender's retry.
func (d *decision) repeats(r *bridge.Record) bool {
	if r.WireKey != (message.Key{}) {
		if first, ok := d.find(r.Origin, r.WireKey); ok {
			d.about = first.Msg
			return true
		}
	}
	for _, key := range r.Keys {
		first, echo, ok := d.known(r.Origin, key)
		if !ok {
			continue
		}
		d.about = first.Msg
		if echo {
			return true
		}
		via := viaHash(r.Via)
		if keys := d.freshKeys(r, first.Msg, via); len(keys) > 0 { // so that the wire's redelivery of it is silent too
			d.add(&picture.Learned{Msg: first.Msg, Origin: r.Origin, Via: via, Keys: keys})
		}
		if !r.Redelivered && (r.Origin != bridge.MQTT || first.Via == via) {
			d.answerRetry(r, first.Msg)
		}
		return true
	}
	return false
}

// knows tells whether the journal knows a key of a refusal.
func (d *decision) knows(r *bridge.Record) bool {
	for _, key := range r.Keys {
		if first, _, ok := d.known(r.Origin, key); ok {
			d.about = first.Msg
			return true
		}
	}
	return false
}

// retried answers a sender's retry of what he may no longer send.
func (d *decision) retried(r *bridge.Record) {
	for _, key := range r.Keys {
		first, echo, ok := d.known(r.Origin, key)
		if ok && !echo && !r.Redelivered && (r.Origin != bridge.MQTT || first.Via == viaHash(r.Via)) {
			d.answerRetry(r, first.Msg)
		}
		if ok {
			return
		}
	}
}

// freshKeys are those keys of a record that are not known yet; from here on they are.
func (d *decision) freshKeys(r *bridge.Record, msg uint64, via uint32) (fresh []message.Key) {
	keys := r.Keys
	if r.WireKey != (message.Key{}) {
		keys = append(slices.Clip(keys), r.WireKey)
	}
	for _, key := range keys {
		if _, ok := d.find(r.Origin, key); !ok {
			d.keys[originKey{r.Origin, key}] = picture.First{Msg: msg, Via: via}
			fresh = append(fresh, key)
		}
	}
	return fresh
}

// answerRetry answers a sender who sends again what the journal has: by what became of the first one.
func (d *decision) answerRetry(r *bridge.Record, msg uint64) {
	if m := d.j.pic.Messages[msg]; m != nil && m.Pending() || d.taken[msg] != nil {
		return
	}
	var answers []bridge.Delivery
	at := d.head.At
	why, failed := d.j.pic.Keys.Failure(msg)
	if text, decided := d.verdicts[msg]; decided {
		if text == "" {
			return
		}
		why, failed = text, true
	}
	switch {
	case r.From == "", len(r.Body) == 0: // a refusal's has none: there is nothing to make a notice of
	case failed && d.j.opt.Notices.Failed:
		answers = append(answers, picture.Notice(r.From, bridge.Note{Status: "failed", Text: why}, at))
	case !failed && d.j.opt.Notices.Sent:
		answers = append(answers, picture.Notice(r.From, bridge.Note{Status: "sent"}, at))
	}
	if !failed && r.Receipt {
		answers = append(answers, picture.Receipt(r.From, r.Reply, at))
	}
	// Unless many of them wait: a sender who has so many errors to come is not told of each retry, too.
	if failed && !r.Reply.IsZero() && d.inLane(laneKey{bridge.XMPP, picture.FailureLaneOf(r.Reply)}) < retriesWaiting {
		answers = append(answers, picture.StanzaError(r.Reply, "failed_before", why, at))
	}
	if len(answers) > 0 {
		d.takeAnswers(brief(r), answers)
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

// take takes a message with its keys and deliveries.
func (d *decision) take(r *bridge.Record) {
	f := &picture.Took{
		ID: d.number(r.ID), Origin: r.Origin, From: r.From, Reply: r.Reply.Stored(), Receipt: r.Receipt, Via: viaHash(r.Via), Body: r.Body,
	}
	if r.Expires > 0 {
		f.Expires = d.head.Ran + max(1, r.Expires.Milliseconds())
	}
	d.about = f.ID
	f.Keys = d.freshKeys(r, f.ID, f.Via)
	f.Deliveries = d.deliveries(r.Origin, r.From, len(r.Body), r.Deliveries)
	d.bytes += int64(len(r.Body) + len(f.Keys)*len(message.Key{}) + rowBytes)
	d.taken[f.ID] = f
	d.add(f)
}

// takeAnswers takes answers alone.
func (d *decision) takeAnswers(r *bridge.Record, answers []bridge.Delivery) {
	if d.overflows(r, len(answers)) {
		d.count(answerDead, r.Origin, "full", int64(len(answers)))
		return
	}
	f := &picture.Answered{ID: d.number(0), Origin: r.Origin, From: r.From, Body: r.Body}
	if d.about == 0 { // a refusal's
		d.about = f.ID
	}
	f.Deliveries = d.deliveries(r.Origin, r.From, len(r.Body), answers)
	d.bytes += int64(len(r.Body) + rowBytes)
	d.add(f)
}

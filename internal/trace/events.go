package trace

import (
	"errors"
	"strconv"
	"time"

	"chatrelay/bridge"
)

// mostNamed is how many destinations of a message are named when it is taken; others are when they are bound.
const mostNamed = 16

// Offered: the journal has judged these.
func (r *Recorder) Offered(recs []*bridge.Record) {
	if r == nil {
		return
	}
	r.add(len(recs), func(b []byte, at int64) []byte {
		for _, rec := range recs {
			b = appendOffer(b, at, rec)
		}
		return b
	})
}

func appendOffer(b []byte, at int64, rec *bridge.Record) []byte {
	var e Event
	reason := rec.Reason
	switch rec.Outcome {
	case bridge.OutcomeTaken:
		e = Taken
	case bridge.OutcomeDuplicate:
		e = Repeated
	case bridge.OutcomeRefused:
		e = Refused
	case bridge.OutcomeFull:
		e = Full
	default:
		return b // nothing for the relay, as chat states and receipts
	}
	if rec.Why != nil {
		reason = rec.Why.Reason
	}
	b = appendLine(b, at, bridge.Ref{Msg: rec.Number}, true, e)
	b = appendField(b, fieldSide, rec.Origin.String())
	if e != Repeated { // the first one's line has them, and a broker may bring the same again for hours
		b = appendField(b, fieldFrom, rec.From)
		b = appendField(b, fieldID, rec.SenderID)
	}
	if e == Taken {
		for i := range min(len(rec.Deliveries), mostNamed) {
			b = appendField(b, fieldTo, rec.Deliveries[i].To)
		}
		b = appendField(b, fieldCount, strconv.Itoa(len(rec.Deliveries)))
	} else {
		b = appendField(b, fieldReason, reason)
	}
	return append(b, '\n')
}

// Bound: a delivery goes on the wire. status is a notice's.
func (r *Recorder) Bound(ref bridge.Ref, side bridge.SideID, kind bridge.Kind, to, status string) {
	if r == nil {
		return
	}
	r.one(ref, Bound, func(b []byte) []byte {
		b = appendField(b, fieldSide, side.String())
		b = appendField(b, fieldKind, KindWord(kind))
		b = appendField(b, fieldTo, to)
		return appendField(b, fieldStatus, status)
	})
}

// Resumed: it is still on the wire from the relay's last life.
func (r *Recorder) Resumed(o *bridge.Outbound, side bridge.SideID) {
	if r == nil {
		return
	}
	r.one(o.Ref, Resumed, func(b []byte) []byte {
		b = appendField(b, fieldSide, side.String())
		b = appendField(b, fieldKind, KindWord(o.Kind))
		return appendField(b, fieldTo, o.To)
	})
}

// Unbound: the wire has lost these.
func (r *Recorder) Unbound(refs ...bridge.Ref) {
	if r == nil {
		return
	}
	for _, ref := range refs {
		r.one(ref, Unbound, nil)
	}
}

// Deferred: it is tried again after a while.
func (r *Recorder) Deferred(ref bridge.Ref, wait time.Duration, reason string) {
	r.later(ref, Deferred, wait, reason)
}

// Held: it is not known yet whether it may leave.
func (r *Recorder) Held(ref bridge.Ref, wait time.Duration, reason string) {
	r.later(ref, Held, wait, reason)
}

func (r *Recorder) later(ref bridge.Ref, e Event, wait time.Duration, reason string) {
	if r == nil {
		return
	}
	r.one(ref, e, func(b []byte) []byte {
		b = appendField(b, fieldWait, strconv.FormatInt(wait.Milliseconds(), 10))
		return appendField(b, fieldReason, reason)
	})
}

// Settled: these are closed.
func (r *Recorder) Settled(results []bridge.Result) {
	if r == nil {
		return
	}
	for _, res := range results {
		switch why := refusal(res.Err); {
		case res.Err != nil:
			r.one(res.Ref, Dead, func(b []byte) []byte { return appendField(b, fieldReason, why) })
		case res.Unproven:
			r.one(res.Ref, Unproven, nil)
		default:
			r.one(res.Ref, Settled, nil)
		}
	}
}

// Bounced: the far side gave a settled delivery back, or nothing proves that it has it.
func (r *Recorder) Bounced(ref bridge.Ref, why *bridge.Refusal) {
	if r == nil {
		return
	}
	r.one(ref, Bounced, func(b []byte) []byte { return appendField(b, fieldReason, why.Reason) })
}

// Happened to these: they were Requeued, Dropped, PutAway, or are Proven.
func (r *Recorder) Happened(e Event, refs ...bridge.Ref) {
	if r == nil {
		return
	}
	for _, ref := range refs {
		r.one(ref, e, nil)
	}
}

func refusal(err error) string {
	if why, ok := errors.AsType[*bridge.Refusal](err); ok {
		return why.Reason
	}
	return ""
}

package stage

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// Counts is the oracle's verdict in figures.
type Counts struct {
	Sent, Acked int // messages; those whose sender's server took them
	AckedM      int // of Acked, those sent on MQTT
	LostM       int // acknowledged, never seen: on the way to MQTT
	LostX       int // and to XMPP
	Bounced     int // an error came back instead; not lost
	Untold      int // the sender never got a last notice
	DupM, DupX  int // arrivals after the first
	DisorderM   int // first arrivals after a later one of their lane, at MQTT
	DisorderX   int // and at XMPP
	Phantom     int // never sent, changed, or in the wrong inbox
	Echo        int // back to the side it came from
	Errors      int // stanza errors to people
	Failed      int // failed notices nobody expected
}

// Counts adds up.
func (o *Oracle) Counts() Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.counts
	c.Sent = len(o.items)
	for _, it := range o.items {
		if !it.acked.IsZero() {
			c.Acked++
			if it.Origin == FromMQTT {
				c.AckedM++
			}
		}
		switch {
		case it.Far > 0 || it.Poison || it.acked.IsZero():
		case it.bounced:
			c.Bounced++
		case it.Origin == FromXMPP:
			c.LostM++
		default:
			c.LostX++
		}
		if it.untold() {
			c.Untold++
		}
	}
	return c
}

// Reason is what the sender of a message was told when it failed.
func (o *Oracle) Reason(it *Item) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return it.reason
}

// Lost names some of what was acknowledged and never seen.
func (o *Oracle) Lost(most int) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for id, it := range o.items {
		if it.Far == 0 && !it.Poison && !it.acked.IsZero() && !it.bounced {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out[:min(most, len(out))]
}

// untold needs the lock.
func (it *Item) untold() bool { return it.notices["sent"]+it.notices["failed"] == 0 }

// Untold names those whose sender never got a last notice.
func (o *Oracle) Untold() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for id, it := range o.items {
		if it.untold() {
			out = append(out, id)
		}
	}
	return out
}

// Doubled tells how many times too often messages came to MQTT: those from XMPP, and those that were published right
// into an inbox.
func (o *Oracle) Doubled() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[string]int{}
	for id, it := range o.items {
		came := it.Far
		if it.Origin == FromMQTT {
			came = it.own
		}
		if came > 1 && !it.Again {
			out[id] = came - 1
		}
	}
	return out
}

// Wrong lists some of what should not be.
func (o *Oracle) Wrong() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.wrong)
}

// Judge reports everything that must never be where nothing breaks.
func (o *Oracle) Judge(t *testing.T) {
	t.Helper()
	for _, w := range o.Wrong() {
		t.Error(w)
	}
}

// Recovery is how long after a moment the first canary that was sent after it had arrived, in the slower
// direction. false: none came in a direction.
func (o *Oracle) Recovery(healed time.Time) (time.Duration, bool) {
	return o.first(healed, func(it *Item) bool { return it.canary && !it.sent.Before(healed) })
}

// Flow is how long after a moment anything arrived, be it of before, in the slower direction.
func (o *Oracle) Flow(healed time.Time) (time.Duration, bool) {
	return o.first(healed, func(*Item) bool { return true })
}

func (o *Oracle) first(healed time.Time, counts func(*Item) bool) (time.Duration, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := map[Origin]time.Time{}
	for _, it := range o.items {
		if it.N == 0 || it.came.Before(healed) || !counts(it) {
			continue
		}
		if f := first[it.Origin]; f.IsZero() || it.came.Before(f) {
			first[it.Origin] = it.came
		}
	}
	slowest := time.Duration(0)
	for _, f := range first {
		slowest = max(slowest, f.Sub(healed))
	}
	return slowest, len(first) == 2
}

// UnderWay counts what was sent and has not arrived.
func (o *Oracle) UnderWay() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.items) - o.relayed
}

// Relayed waits until so many messages have arrived.
func (o *Oracle) Relayed(ctx context.Context, n int) error {
	return o.wait(ctx, func() bool { return o.relayed >= n })
}

// Settle waits until everything has arrived and every sender knows.
func (o *Oracle) Settle(ctx context.Context) error { return o.wait(ctx, o.settled) }

// Calm is Settle, and gives up when nothing has come for so long.
func (o *Oracle) Settled(ctx context.Context, quiet time.Duration) error {
	for before := -1; ; {
		try, cancel := context.WithTimeout(ctx, quiet)
		err := o.wait(try, o.settled)
		cancel()
		o.mu.Lock()
		heard := o.heard
		o.mu.Unlock()
		if err == nil || ctx.Err() != nil || heard == before {
			return err
		}
		before = heard
	}
}

// settled needs the lock.
func (o *Oracle) settled() bool { return o.relayed == len(o.items) && o.noticed == len(o.items) }

// wait waits until ok, asked with the lock held after each event, says yes.
func (o *Oracle) wait(ctx context.Context, ok func() bool) error {
	for {
		o.mu.Lock()
		yes, changed := ok(), o.changed
		o.mu.Unlock()
		if yes {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(errors.New("stage: not all came"), ctx.Err())
		}
	}
}

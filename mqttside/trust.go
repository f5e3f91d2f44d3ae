package mqttside

import "chatrelay/bridge"

// trust is what a broker's acknowledgement is worth. By MQTT 3.1.1 it also acknowledges what it drops.
type trust int

const (
	untried    trust = iota // no probe was heard on this connection, nor missed: what is acknowledged waits
	trusted                 // one was heard: acknowledged is settled, until a later one is missed
	distrusted              // one was missed: what is acknowledged goes again
)

// settle takes an acknowledged leg out, for what the acknowledgement is worth. o.mu is held.
func (o *outbox) settle(l *leg) {
	o.remove(l)
	switch o.trust {
	case untried:
		o.held = append(o.held, l)
	case distrusted:
		o.giveBack(l)
	case trusted:
		o.journal.Settle(bridge.Result{Ref: l.Ref, Unproven: true})
		if l.Kind.IsMessage() {
			o.since++
			o.longest = max(o.longest, len(l.Body))
		}
	}
}

// giveBack lets an acknowledged leg go again, once there is a right to. The broker may have had it. o.mu is held.
func (o *outbox) giveBack(l *leg) {
	o.called = true
	o.journal.Unbind(l.Ref)
	if l.Kind.IsMessage() {
		o.journal.Count(bridge.MQTT, bridge.MaybeDuplicate, 1)
	}
}

// prove: a probe was heard on the connection. What was acknowledged on it before is settled.
func (o *outbox) prove() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trust = trusted
	for _, l := range o.held {
		o.journal.Settle(bridge.Result{Ref: l.Ref})
	}
	o.held = nil
	o.changed.Wake()
}

// distrust: a probe was not heard. What was acknowledged and is not settled goes again, and so does what is
// acknowledged from now on. It returns how many go again.
func (o *outbox) distrust() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trust, o.since, o.longest = distrusted, 0, 0
	n := len(o.held)
	for _, l := range o.held {
		o.giveBack(l)
	}
	o.held = nil
	o.changed.Wake()
	return n
}

// disown: the relay is with another broker now, whose probes say nothing of what the last one acknowledged. What is not
// settled goes again.
func (o *outbox) disown() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.held {
		o.giveBack(l)
	}
	o.held, o.since, o.longest = nil, 0, 0
}

// suspend: it is not known what an acknowledgement is worth. What comes from now on waits.
func (o *outbox) suspend() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trust = untried
}

// sinceProbe is how many messages were settled since the last probe that was heard, and how long the longest is.
func (o *outbox) sinceProbe() (n, longest int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.since, o.longest
}

// probed takes those off that were settled before a probe went out that was heard.
func (o *outbox) probed(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since -= n; o.since <= 0 {
		o.since, o.longest = 0, 0
	}
}

package mqttside

import (
	"sync"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/mqttside/session"
)

// worth is what a broker's acknowledgement is worth by MQTT 3.1.1, by which it also acknowledges what it drops.
type worth int

const (
	untried    worth = iota // no probe was heard on this connection, nor missed: what is acknowledged waits
	trusted                 // one was heard: acknowledged is settled, until a later one is missed
	distrusted              // one was missed: what is acknowledged goes again
)

// trust settles what is acknowledged, for what that is worth.
type trust struct {
	journal bridge.SideJournal
	changed *wait.Broadcast

	mu       sync.Mutex // guards all below
	worth    worth
	honest   bool              // by MQTT 5 the broker says what it refuses: what it acknowledges is settled at once
	held     []session.Message // acknowledged before a probe was heard
	gaveBack bool              // since it was asked last
	since    int               // messages settled since the last probe that was heard went out
	longest  int               // of them
}

// begin: a new connection, on which no probe was heard yet.
func (t *trust) begin(level session.Level) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.worth, t.honest = untried, level == level5
}

func (t *trust) settle(m session.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.honest:
		t.journal.Settle(bridge.Result{Ref: handleOf(m).ref})
	case t.worth == untried:
		t.held = append(t.held, m)
	case t.worth == distrusted:
		t.giveBack(m)
	default:
		t.journal.Settle(bridge.Result{Ref: handleOf(m).ref, Unproven: true})
		if !m.Repeatable {
			t.since++
			t.longest = max(t.longest, len(m.Payload))
		}
	}
}

// giveBack lets acknowledged messages go again, once there is a right to. The broker may have had them. t.mu is held.
func (t *trust) giveBack(ms ...session.Message) {
	for _, m := range ms {
		t.gaveBack = true
		t.journal.Unbind(handleOf(m).ref)
		if !m.Repeatable {
			t.journal.Count(bridge.MQTT, bridge.MaybeDuplicate, 1)
		}
	}
}

// gone tells, once, that messages went back to the journal.
func (t *trust) gone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.gaveBack
	t.gaveBack = false
	return was
}

// proven: a probe was heard on the connection. What was acknowledged on it before is settled.
func (t *trust) proven() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.worth = trusted
	for _, m := range t.held {
		t.journal.Settle(bridge.Result{Ref: handleOf(m).ref})
	}
	t.held = nil
	t.changed.Wake()
}

// distrust: a probe was not heard. What was acknowledged and is not settled goes again, and so does what is
// acknowledged from now on. It returns how many go again.
func (t *trust) distrust() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.worth = distrusted
	return t.forget()
}

// disown: the relay is with another broker now, whose probes say nothing of what the last one acknowledged. What is not
// settled goes again.
func (t *trust) disown() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
}

// forget gives back what is held. t.mu is held.
func (t *trust) forget() int {
	n := len(t.held)
	t.giveBack(t.held...)
	t.held, t.since, t.longest = nil, 0, 0
	t.changed.Wake()
	return n
}

// suspend: it is not known what an acknowledgement is worth. What comes from now on waits.
func (t *trust) suspend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.worth = untried
}

// sinceProbe is how many messages were settled since the last probe that was heard, and how long the longest is.
func (t *trust) sinceProbe() (n, longest int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since, t.longest
}

// probed takes those off that were settled before a probe went out that was heard.
func (t *trust) probed(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since -= n; t.since <= 0 {
		t.since, t.longest = 0, 0
	}
}

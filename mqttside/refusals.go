package mqttside

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/mqttside/session"
)

const (
	laterFirst   = time.Second // until a message that was refused for now is tried again; doubles
	laterMost    = time.Minute
	singleFor    = time.Hour             // so long a broker that refuses gets one message of a lane at a time
	singleWait   = 50 * time.Millisecond // until the lane is looked at again
	postponeMost = 1000                  // lanes that are remembered without a look at whether they are of use
)

// lane is a sender and a destination: order is kept there.
type lane struct{ from, to string }

// handle is the tag of a message in the session.
type handle struct {
	ref  bridge.Ref
	lane lane
}

func handleOf(m session.Message) handle { return m.Tag.(handle) }

// refusals is what a broker refuses by MQTT 5 (4.3), and what follows in each lane. What was refused for now goes back to
// the journal, which hands it out first in its lane; what was denied stays bound until the next probe decides.
type refusals struct {
	journal bridge.SideJournal
	changed *wait.Broadcast
	log     zerolog.Logger

	mu     sync.Mutex       // guards all below
	denied []session.Answer // not authorized: the next probe decides
	first  map[lane]postponed
	single map[string]time.Time // since when, by broker
	warned map[string]time.Time // by broker and code
	back   map[lane]bool        // of what went back, and was not asked about since
	swept  int                  // how many of first were left by the last look at whether they are of use
}

// postponed is the message of a lane that was refused first, and is not settled.
type postponed struct {
	ref           bridge.Ref
	place, newest uint64 // in the order of sending: its own, and that of the last one sent before it was refused
	tries         int
	until         time.Time // no earlier than that
}

// errLane: the lane alone waits.
type errLane struct{ time.Duration }

func (e errLane) Error() string          { return "mqtt: the broker refused a message of this lane for now" }
func (e errLane) RetryIn() time.Duration { return e.Duration }

// laneBusy: it waits for another message of its lane, and was not tried.
type laneBusy struct{ errLane }

func (laneBusy) Error() string { return "mqtt: another message of this lane is under way" }

// Untried is bridge.Untried.
func (laneBusy) Untried() {}

// gate tells whether a message may leave now. inFlight is how many of its lane do.
func (r *refusals) gate(host string, h handle, inFlight func() int, now time.Time) error {
	r.mu.Lock()
	p := r.first[h.lane]
	since, single := r.single[host]
	denied := false
	for _, a := range r.denied {
		denied = denied || handleOf(a.Message).lane == h.lane
	}
	r.mu.Unlock()
	switch {
	case denied:
		return laneBusy{errLane{singleWait}}
	case p.ref == h.ref && now.Before(p.until):
		return errLane{p.until.Sub(now)}
	case single && now.Sub(since) < singleFor && inFlight() > 0:
		return laneBusy{errLane{singleWait}}
	}
	return nil
}

// settled: the broker has a message. If it was sent behind one that was refused, it overtook that: it was under way. One that
// was sent later shows that the refused one is gone from the journal.
func (r *refusals) settled(a session.Answer) {
	h := handleOf(a.Message)
	r.mu.Lock()
	p, some := r.first[h.lane]
	if some && (p.ref == h.ref || a.Place > p.newest) {
		delete(r.first, h.lane)
	}
	r.mu.Unlock()
	if some && p.ref != h.ref && p.place < a.Place && a.Place <= p.newest {
		r.journal.Count(bridge.MQTT, bridge.Reordered, 1)
	}
}

// take decides what follows from a code. limit is the longest message that the broker takes, as far as that is known.
func (r *refusals) take(host string, a session.Answer, limit int, now time.Time) {
	h := handleOf(a.Message)
	r.say(host, a, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := refusalOf(a, limit); why != nil {
		if r.first[h.lane].ref == h.ref {
			delete(r.first, h.lane)
		}
		r.journal.Settle(bridge.Result{Ref: h.ref, Err: why})
		return
	}
	if r.first == nil {
		r.first, r.single = map[lane]postponed{}, map[string]time.Time{}
		r.back = map[lane]bool{}
	}
	r.postpone(h, a, now)
	if a.Code == session.CodeNotAuthorized { // of one inbox, or of all: then nothing leaves. The broker can take more at a time
		r.denied = append(r.denied, a)
		return
	}
	r.single[host] = now
	r.back[h.lane] = true
	r.journal.Unbind(h.ref)
}

// postpone notes a message that is to go again. Of several of a lane the first is noted: the journal hands it out before
// the others. r.mu is held.
func (r *refusals) postpone(h handle, a session.Answer, now time.Time) {
	p, some := r.first[h.lane]
	switch {
	case some && p.ref == h.ref:
	case some && p.place < a.Place && a.Place <= p.newest: // it was sent behind p
		return
	default: // none was, or it came first, or was sent later: then p is gone from the journal
		p = postponed{ref: h.ref}
	}
	p.place, p.newest = a.Place, a.Newest
	if a.Code != session.CodeNotAuthorized {
		p.until = now.Add(min(laterMost, laterFirst<<min(p.tries, 6)))
		p.tries++
	}
	if len(r.first) >= max(postponeMost, 2*r.swept) {
		maps.DeleteFunc(r.first, func(_ lane, p postponed) bool { return now.Sub(p.until) > singleFor })
		r.swept = len(r.first)
	}
	r.first[h.lane] = p
}

// say tells a person, once an hour, that a broker refuses messages by a code.
func (r *refusals) say(host string, a session.Answer, now time.Time) {
	key := fmt.Sprintf("%s %d", host, a.Code)
	r.mu.Lock()
	last, some := r.warned[key]
	fresh := !some || now.Sub(last) >= singleFor
	if fresh {
		if r.warned == nil {
			r.warned = map[string]time.Time{}
		}
		r.warned[key] = now
	}
	r.mu.Unlock()
	if fresh {
		r.log.Warn().Str("broker", host).Str("code", session.NameOf(a.Code)).Str("reason", fmt.Sprintf("%.200s", a.Reason)).Str("to", handleOf(a.Message).lane.to).
			Str("fix", fixOf(a.Code)).Msg("the broker refuses a message; further ones with this code are not logged for an hour")
	}
}

// fixOf says who can mend it.
func fixOf(code byte) string {
	switch code {
	case session.CodeNotAuthorized:
		return "the broker's ACL must let the relay publish to all inboxes (chatrelay check shows the line)"
	case session.CodePacketTooLarge:
		return longFix
	case session.CodeQuota:
		return "raise the broker's quota for this client"
	}
	return "look into the broker's log"
}

// refusalOf is the verdict for good that a code means; nil: it is not for good.
func refusalOf(a session.Answer, limit int) *bridge.Refusal {
	reason := ""
	if a.Reason != "" {
		reason = fmt.Sprintf(" (it says: %.200q)", a.Reason)
	}
	switch a.Code {
	case session.CodePacketTooLarge:
		if limit > 0 && limit < len(a.Payload) {
			return bridge.Refuse("too_large", "the MQTT broker takes no message longer than %d bytes%s", limit, reason)
		}
		return bridge.Refuse("too_large", "the MQTT broker takes no message of %d bytes%s", len(a.Payload), reason)
	case session.CodeBadTopic:
		return bridge.Refuse("bad_to", "the MQTT broker does not accept the topic%s", reason)
	case session.CodeBadPayload:
		return bridge.Refuse("bad_payload", "the MQTT broker does not accept the payload%s", reason)
	}
	return nil
}

// asks is how many messages the next probe is to decide about.
func (r *refusals) asks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.denied)
}

// release: nothing leaves, or it is a new connection: what was denied goes again when it may.
func (r *refusals) release() { r.decide(r.asks(), false, "") }

// decide: a probe that was sent after so many were denied was heard, so that they alone are, or was not.
func (r *refusals) decide(n int, heard bool, fix string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.denied[:n] {
		h := handleOf(a.Message)
		if heard {
			if r.first[h.lane].ref == h.ref {
				delete(r.first, h.lane)
			}
			r.journal.Settle(bridge.Result{Ref: h.ref, Err: bridge.Refuse("no_right", "the MQTT broker does not let the relay publish to this inbox: %s", fix)})
			continue
		}
		if _, some := r.first[h.lane]; !some { // the one before it is dead
			r.first[h.lane] = postponed{ref: h.ref, place: a.Place, newest: a.Newest}
		}
		r.back[h.lane] = true
		r.journal.Unbind(h.ref)
	}
	r.denied = r.denied[n:]
	r.changed.Wake()
}

// overtakes tells, once, that something of its lane went back to the journal while Send had a message, which may belong behind
// that. Nothing else is held up.
func (r *refusals) overtakes(h handle) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.back[h.lane]
	delete(r.back, h.lane)
	return was && r.first[h.lane].ref != h.ref
}

// answered takes in what the broker has decided of a message.
func (k *connection) answered(a session.Answer) {
	s := k.s
	if a.Code < session.CodeUnspecified {
		s.refusals.settled(a)
		s.trust.settle(a.Message)
		return
	}
	limit := s.prover.lengths.known(k.url.Host, time.Now())
	if longest := s.brokers.longest(k.url.Host, a.Topic); longest > 0 {
		limit = longest
	}
	s.refusals.take(k.url.Host, a, limit, time.Now())
	if a.Code == session.CodeNotAuthorized {
		s.changed.Wake()
	}
}

func sameLane(l lane) func(session.Message) bool {
	return func(m session.Message) bool { return handleOf(m).lane == l }
}

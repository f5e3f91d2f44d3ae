package trace

// judge tells from its stations how a message stands.
func (m *Message) judge() string {
	var t tally
	for _, s := range m.Stations {
		t.count(&s)
	}
	switch {
	case t.refused:
		return StateRefused
	case t.total == 0 && t.full:
		return StateNotTaken
	case t.total == 0 && len(t.closed) == 0 && t.answers:
		return StateAnswer
	case t.bounced:
		return StateBounced
	case t.total > 0 && len(t.closed) >= t.total && t.dead():
		return StateDead
	case t.total > 0 && len(t.closed) >= t.total, t.total == 0 && len(t.closed) > 0 && len(t.onWire) == 0 && !t.dead():
		return StateDelivered
	case len(t.onWire) > 0:
		return StateOnWire
	case t.total == 0 && t.dead():
		return StateDead
	}
	return StateWaiting
}

// isAnswer tells whether a kind of delivery carries no message, but an answer about one.
func isAnswer(kind string) bool { return kind == "notice" || kind == "receipt" || kind == "error" }

// tally is what stations say of message deliveries. The first so many numbers are theirs; where it is not known how many, those that
// were bound as such.
type tally struct {
	total                           int // 0: not known
	refused, full, bounced, answers bool
	closed                          map[int]Event // the last word on each
	onWire                          map[int]bool
	answer                          map[int]bool
}

func (t *tally) count(s *Station) {
	if t.closed == nil {
		t.closed, t.onWire, t.answer = map[int]Event{}, map[int]bool{}, map[int]bool{}
	}
	switch s.Event {
	case Taken:
		t.total = s.Count
	case Refused:
		t.refused = true
	case Full:
		t.full = true
	}
	if s.index < 0 {
		return
	}
	if isAnswer(s.Kind) {
		t.answer[s.index], t.answers = true, true
	}
	if t.answer[s.index] || t.total > 0 && s.index >= t.total {
		return
	}
	switch s.Event {
	case Bound, Resumed:
		t.onWire[s.index] = true
		delete(t.closed, s.index) // requeued
	case Unbound, Deferred, Held:
		delete(t.onWire, s.index)
	case Settled, Unproven, Dead:
		delete(t.onWire, s.index)
		t.closed[s.index] = s.Event
	case Bounced:
		t.bounced = true
	case Requeued: // it may be written down only when it is on the wire again, or has arrived
		if t.bounced = false; t.closed[s.index] == Dead {
			delete(t.closed, s.index)
		}
	}
}

func (t *tally) dead() bool {
	for _, e := range t.closed {
		if e == Dead {
			return true
		}
	}
	return false
}

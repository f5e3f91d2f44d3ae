package mqttside

import (
	"chatrelay/bridge"
	"chatrelay/mqttside/session"
)

// sessionJournal is the journal as a session sees it. A message's tag is a handle.
type sessionJournal struct{ bridge.SideJournal }

// Bind is Inflight.Bind.
func (j sessionJournal) Bind(tag any, binding []byte) uint64 {
	return j.SideJournal.Bind(tag.(handle).ref, binding)
}

// Unbind is Inflight.Unbind.
func (j sessionJournal) Unbind(tag any) { j.SideJournal.Unbind(tag.(handle).ref) }

// Save is SideState.SetState.
func (j sessionJournal) Save(rows ...session.Row) uint64 {
	return j.SetState(bridge.MQTT, stateRows(rows)...)
}

func stateRows(rows []session.Row) []bridge.StateRow {
	out := make([]bridge.StateRow, len(rows))
	for i, r := range rows {
		out[i] = bridge.StateRow(r)
	}
	return out
}

// outbound is a delivery as a session sends it. That a notice comes twice harms nobody.
func outbound(out bridge.Outbound, topic string, qos byte) session.Message {
	return session.Message{Topic: topic, Payload: out.Body, QoS: qos, Tag: handleFor(out),
		Repeatable: out.Kind == bridge.KindNotice}
}

// resume takes in what the journal says was in flight, in order. What cannot be resumed is given back; it returns how many.
func (s *Side) resume(bound []bridge.BoundDelivery) (lost int) {
	doubtful := 0
	for _, b := range bound {
		topic, refusal := s.topic(b.To)
		if refusal != nil {
			s.journal.Settle(bridge.Result{Ref: b.Ref, Err: refusal})
			continue
		}
		known, maybe := s.session.Restore(session.Bound{Message: outbound(b.Outbound, topic, 0), Binding: b.Binding})
		if !known {
			lost++
		}
		if maybe {
			doubtful++
		}
	}
	countDoubtful(s.journal, doubtful)
	return lost
}

// countDoubtful counts deliveries that go again although the broker may have had them.
func countDoubtful(journal bridge.SideJournal, n int) {
	if n > 0 {
		journal.Count(bridge.MQTT, bridge.MaybeDuplicate, n)
	}
}

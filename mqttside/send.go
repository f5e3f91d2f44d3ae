package mqttside

import (
	"context"
	"errors"
	"time"

	"chatrelay/bridge"
	"chatrelay/mqttside/session"
)

// Send publishes one delivery. See bridge.Side.
func (s *Side) Send(ctx context.Context, out bridge.Outbound) error {
	topic, refusal := s.topic(out.To)
	if refusal != nil {
		return refusal
	}
	if len(out.Body) > s.cfg.MaxMessage+noticeRoom(out.Kind) {
		return bridge.Refuse("too_large", "the message is longer than %d bytes", s.cfg.MaxMessage)
	}
	switch out.Kind {
	case bridge.KindInbox, bridge.KindCopy, bridge.KindNotice:
	default:
		return bridge.Refuse("bad_kind", "this cannot be sent over MQTT")
	}
	length := s.probeLength(topic, len(out.Body))
	for {
		change := s.changed.Wait()
		if err := gaveBack(s, out); err != nil {
			return err // first in its lane may be another now
		}
		k, qos, err := s.ready(out.Kind)
		if err != nil {
			return err
		}
		if k != nil {
			if err := k.allows(topic, out); err != nil {
				return err
			}
			switch fit, limit := s.prover.lengths.fits(k.url.Host, length, time.Now()); fit {
			case fitsNot:
				return bridge.Refuse("too_large", "the MQTT broker takes no message longer than %d bytes", limit)
			case fitsMay:
				s.changed.Wake() // Run's goroutine finds it out
				return errLonger
			case fitNever:
				k = nil
			}
		}
		if k != nil && s.session.Send(k.conn, outbound(out, topic, qos)) {
			return nil
		}
		if err := gaveBack(s, out); err != nil {
			return err
		}
		if k != nil && k.alive() {
			return errors.New("mqtt: no packet id is free")
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// allows tells whether the broker says that it takes a message, and takes it now (MQTT 5).
func (k *connection) allows(topic string, out bridge.Outbound) error {
	s := k.s
	if limit := s.brokers.longest(k.url.Host, topic); limit > 0 && len(out.Body) > limit {
		return bridge.Refuse("too_large", "the MQTT broker takes no message longer than %d bytes", limit)
	}
	h := handleFor(out)
	return s.refusals.gate(k.url.Host, h, func() int { return s.session.Count(sameLane(h.lane)) }, time.Now())
}

// withdrawTooLong buries what is in flight and too long for the broker that the relay has come to: it would close the
// connection over it.
func (s *Side) withdrawTooLong(host string) {
	long := func(m session.Message) bool {
		limit := s.brokers.longest(host, m.Topic)
		return limit > 0 && len(m.Payload) > limit
	}
	for _, m := range s.session.Withdraw(long) {
		s.journal.Settle(bridge.Result{Ref: handleOf(m).ref, Err: bridge.Refuse("too_large",
			"it may not have arrived: the MQTT broker takes no message longer than %d bytes", s.brokers.longest(host, m.Topic))})
	}
}

// errLonger: the lane alone waits.
var errLonger = errors.New("mqtt: the broker took no message so long some time ago, and is asked again")

const noticeMore = 4 << 10

// noticeRoom is what a notice may be longer than the message it is about.
func noticeRoom(k bridge.Kind) int {
	if k == bridge.KindNotice {
		return noticeMore
	}
	return 0
}

// ready is the connection a delivery may go out on now, and its QoS; nil: none.
func (s *Side) ready(kind bridge.Kind) (*connection, byte, error) {
	s.mu.Lock()
	k, stopping := s.live, s.stopping
	s.mu.Unlock()
	switch {
	case stopping:
		return nil, 0, bridge.ErrDown
	case k == nil:
		return nil, 0, nil
	}
	limit, roomy := s.brokers.window(k.url.Host, s.cfg.Window)
	qos := s.cfg.QoS
	if s.brokers.lacksQoS2(k.url.Host, time.Now()) {
		qos = 1
	}
	if kind == bridge.KindNotice && roomy {
		qos = 1
	}
	load, notices := s.session.InFlight()
	switch {
	case k.level == level5 && !roomy: // its limit is for all (MQTT 5, 4.9)
		load += notices
	case beside(kind, qos):
		load, limit = notices, maxNotices
	}
	if load >= limit || k.conn.Crowded() {
		return nil, 0, nil
	}
	return k, qos, nil
}

// Window is how many messages may be in flight now; 0: nothing goes out. What is beside the window is not counted.
func (s *Side) Window() int {
	s.mu.Lock()
	k := s.live
	s.mu.Unlock()
	if k == nil {
		return 0
	}
	limit, _ := s.brokers.window(k.url.Host, s.cfg.Window)
	return limit
}

// beside tells what has no part in the window: notices at QoS 1. By MQTT 3.1.1 no broker has a limit for them; by MQTT 5 they
// go where there is room for many beside half of it.
func beside(kind bridge.Kind, qos byte) bool { return kind == bridge.KindNotice && qos == 1 }

// gaveBack tells, once, that deliveries went back to the journal. What Send holds then may belong behind them.
func gaveBack(s *Side, out bridge.Outbound) error {
	byTrust, bySession := s.trust.gone(), s.session.GaveBack()
	switch {
	case byTrust || bySession: // many may have
		return bridge.ErrDown
	case s.refusals.overtakes(handleFor(out)):
		return laneBusy{}
	}
	return nil
}

func handleFor(out bridge.Outbound) handle { return handle{out.Ref, lane{out.From, out.To}} }

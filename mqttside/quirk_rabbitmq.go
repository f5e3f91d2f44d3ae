package mqttside

import "time"

// Some brokers have no QoS 2. They say so by MQTT 5 (Maximum QoS), by granting a subscription below it, or by PUBACK to a
// PUBLISH of QoS 2: RabbitMQ 3.10.8, which has no MQTT 5, does the last two (its documentation says so; QoS 2 is taken for QoS 1). Test: TestRabbitMQ.

// noQoS2: the broker has answered a QoS 2 PUBLISH with PUBACK. It has the message.
func (s *Side) noQoS2(k *connection, now time.Time) {
	if s.brokers.setNoQoS2(k.url.Host, now) {
		s.sayNoQoS2(k)
	}
}

// granted takes in the QoS of the subscription (MQTT-3.8.4-6).
func (s *Side) granted(k *connection, qos byte) {
	if qos < 2 {
		s.log.Warn().Uint8("qos", qos).Msg("the broker grants the inboxes below QoS 2 only")
	}
	if s.brokers.granted(k.url.Host, qos) && s.cfg.QoS == 2 {
		s.sayNoQoS2(k)
	}
}

func (s *Side) sayNoQoS2(k *connection) {
	s.log.Warn().Str("broker", k.url.Host).Str("fix", "set CHATRELAY_MQTT_QOS=1, or use a broker with QoS 2").
		Msg("the broker has no QoS 2: messages go to it at QoS 1, and those in flight when a connection breaks may arrive twice")
}

// lacksQoS2 tells whether to publish at QoS 1. What a PUBACK has shown is doubted after an hour, at no risk: the broker
// answers PUBACK again. What a SUBACK has shown counts as long as the subscription, for a broker may close the
// connection over a QoS it does not have.
func (b *brokers) lacksQoS2(host string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	return at.noQoS2 && (at.qosAt.IsZero() || recent(at.qosAt, now))
}

// setNoQoS2 notes a PUBACK; true: it is to be said.
func (b *brokers) setNoQoS2(host string, now time.Time) (say bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	if !at.noQoS2 || !at.qosAt.IsZero() && !recent(at.qosAt, now) {
		at.noQoS2, at.qosAt = true, now
		b.save(host, at.facts)
	}
	say, at.warnedQoS = !at.warnedQoS, true
	return say
}

// granted notes a SUBACK; true: it is to be said that there is no QoS 2. What the broker has said by MQTT 5 counts more.
func (b *brokers) granted(host string, qos byte) (say bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	lacks := qos < 2
	if lacks && at.limits.QoS == 2 {
		return false
	}
	if lacks != at.noQoS2 || lacks && !at.qosAt.IsZero() {
		at.noQoS2, at.qosAt = lacks, time.Time{}
		b.save(host, at.facts)
	}
	say = lacks && !at.warnedQoS
	at.warnedQoS = at.warnedQoS || lacks
	return say
}

package mqttside

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"chatrelay/bridge"
	"chatrelay/mqttside/session"
)

const answerTimeout = 10 * time.Second // for a SUBACK

// refusedFilter: a SUBACK refuses, by this code (MQTT-3.9.3; more of them by MQTT 5).
type refusedFilter struct{ code byte }

func (e refusedFilter) Error() string {
	return "the broker does not let us subscribe: " + e.fix(aclSubscribe)
}

const aclSubscribe = "allow it in the broker's ACL, or change CHATRELAY_TOPIC_PREFIX"

// fix says what mends it: what the broker's ACL must have, unless the code says that it is another thing.
func (e refusedFilter) fix(acl string) string {
	switch e.code {
	case session.CodeUnspecified, session.CodeNotAuthorized:
		return acl
	case session.CodeNoWildcards:
		return "inboxes are found by a wildcard, which it does not support: allow wildcard subscriptions in its settings (CHATRELAY_MQTT_URL)"
	}
	return session.NameOf(e.code) + ": look at the settings and the log of the broker (CHATRELAY_MQTT_URL)"
}

// filterEnd stands between the parts of what is remembered. No filter holds it.
const filterEnd = "\x00"

// subscribed is what the session at the broker subscribes to: the inboxes, at a level, and by MQTT 5 the probes of one
// process. Level and options act at the SUBSCRIBE, and stay with the session.
type subscribed struct{ inboxes, level, probes string }

func (s subscribed) String() string { return s.inboxes + filterEnd + s.level + filterEnd + s.probes }

func parseSubscribed(text string) (s subscribed) {
	s.inboxes, text, _ = strings.Cut(text, filterEnd)
	s.level, s.probes, _ = strings.Cut(text, filterEnd)
	return s
}

// subscription is what a connection is to subscribe to.
func (s *Side) subscription(level session.Level) subscribed {
	want := subscribed{inboxes: s.filter(), level: string(rune(level))}
	if level == level5 {
		want.probes = s.prover.topic
	}
	return want
}

// sameInboxes tells whether both have the inboxes in the same way.
func (s subscribed) sameInboxes(o subscribed) bool {
	return s.inboxes == o.inboxes && s.level == o.level
}

// former is the filter that is to be taken back before the inboxes are subscribed to; empty: none, as a SUBSCRIBE takes the
// place of one to the same filter (MQTT-3.8.4-3). But Mosquitto changes nothing by that but the QoS, so one that brings us
// what we publish does not come in the place of one that does not, nor the other way round.
func (s subscribed) former(have subscribed, present bool) string {
	deaf := func(level string) bool { return level == string(rune(level5)) || level == string(rune(levelBridge)) }
	switch {
	case have.inboxes == "" && present && s.level != string(rune(levelBridge)):
		return s.inboxes // the session may have them in any way
	case have.inboxes == s.inboxes && (have.level == s.level || deaf(have.level) && deaf(s.level)):
		return ""
	}
	return have.inboxes
}

// subscribe asks for all inboxes, and by MQTT 5 for the probes: of the inboxes it is not brought what it publishes itself.
// What is subscribed to is remembered with the session. By MQTT 3.1.1 that is relied on, for a probe that is not heard shows
// that it is not true. By MQTT 5 the probes have a subscription of their own: somebody else may have had our session, or the
// broker lost what it did last, so the inboxes are asked for at each login. It brings nothing that is retained.
func (s *Side) subscribe(ctx context.Context, k *connection) error {
	want, have := s.subscription(k.level), parseSubscribed(s.filterAt)
	five, written := k.level == level5, s.filterAt
	if !five && k.sure && want == have {
		return nil
	}
	if five || !k.sure || !want.sameInboxes(have) {
		former := want.former(have, k.conn.Present)
		if former != "" && written != "" { // should we die between the two, neither is believed
			written, s.filterAt = "", ""
			k.conn.Raise(s.journal.SetState(bridge.MQTT, bridge.StateRow{Key: stateFilter}))
		}
		code, err := k.exchange(ctx, former, session.Filter{Topic: want.inboxes, QoS: 2, NoLocal: true, NoRetained: true})
		if err != nil {
			return err
		}
		s.granted(k, code)
		s.filterAt = subscribed{want.inboxes, want.level, have.probes}.String()
	}
	if five || want.probes != have.probes {
		former := have.probes
		if former == want.probes {
			former = ""
		}
		if _, err := k.exchange(ctx, former, session.Filter{Topic: want.probes}); err != nil {
			return err
		}
	}
	if s.filterAt = want.String(); s.filterAt != written { // behind all: a journal in trouble keeps nobody from connecting
		k.conn.Raise(s.journal.SetState(bridge.MQTT, bridge.StateRow{Key: stateFilter, Value: []byte(s.filterAt)}))
	}
	return nil
}

// exchange unsubscribes from what was before and subscribes to something else; empty: to, or from, nothing. What is not
// taken back is refused as bad_topic.
func (k *connection) exchange(ctx context.Context, former string, f session.Filter) (qos byte, err error) {
	if f.Topic == "" && former == "" {
		return 0, nil
	}
	answer, err := k.conn.Exchange(former, f)
	if err != nil {
		return 0, fmt.Errorf("subscribe: %w", err)
	}
	if f.Topic == "" {
		return 0, nil
	}
	code, err := k.suback(ctx, answer)
	if err != nil {
		return 0, err
	}
	if code > 2 {
		return 0, fmt.Errorf("%s: %w", f.Topic, refusedFilter{code})
	}
	return code, nil
}

// suback waits for the answer to SUBSCRIBE. Behind a backlog that the side can hardly take in it is late.
func (k *connection) suback(ctx context.Context, answer <-chan []byte) (code byte, err error) {
	limit := time.NewTicker(answerTimeout)
	defer limit.Stop()
	for {
		select {
		case codes := <-answer:
			return codes[0], nil
		case <-k.conn.Closed():
			return 0, k.conn.Reason()
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-limit.C:
			if !k.s.inbox.pressed(answerTimeout) {
				return 0, errors.New("the broker does not answer SUBSCRIBE")
			}
		}
	}
}

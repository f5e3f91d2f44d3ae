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

var errSubscribe = errors.New("the broker does not let us subscribe: allow it in the broker's ACL, or change CHATRELAY_TOPIC_PREFIX")

// filterEnd stands behind the filter, where it is remembered. No filter holds it.
const filterEnd = "\x00"

// subscription is what is remembered of a SUBSCRIBE. The bridge bit acts at the SUBSCRIBE, and stays with the session.
func (s *Side) subscription(level session.Level) string {
	return s.filter() + filterEnd + string(rune(level))
}

// subscribe asks for all inboxes, unless the session does already: a SUBSCRIBE would bring retained messages
// again. The filter is remembered with the session.
func (s *Side) subscribe(ctx context.Context, k *link) error {
	wanted := s.subscription(k.level)
	if s.filterAt == wanted {
		return nil
	}
	// One of another level goes, too: Mosquitto changes nothing at a second SUBSCRIBE but the QoS. The two packets go
	// one behind the other.
	former, _, _ := strings.Cut(s.filterAt, filterEnd)
	if former == "" && k.level == levelPlain {
		former = s.filter() // the session may have it with the bridge bit
	}
	if former != "" {
		if _, err := k.conn.Unsubscribe(former); err != nil { // of a former prefix; if it fails, its mail is refused as bad_topic
			return fmt.Errorf("unsubscribe: %w", err)
		}
	}
	answer, err := k.conn.Subscribe(s.filter(), 2)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	code, err := s.suback(ctx, k, answer)
	if err != nil {
		return err
	}
	if code > 2 { // 0x80: MQTT-3.9.3
		return fmt.Errorf("%s: %w", s.filter(), errSubscribe)
	}
	s.granted(k, code)
	s.filterAt = wanted
	k.conn.Raise(s.journal.SetState(bridge.MQTT, bridge.StateRow{Key: stateFilter, Value: []byte(s.filterAt)}))
	return nil
}

// suback waits for the answer to SUBSCRIBE. Behind a backlog that the side can hardly take in it is late.
func (s *Side) suback(ctx context.Context, k *link, answer <-chan []byte) (code byte, err error) {
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
			if !s.inbox.pressed(answerTimeout) {
				return 0, errors.New("the broker does not answer SUBSCRIBE")
			}
		}
	}
}

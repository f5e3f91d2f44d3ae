package mqttside

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"chatrelay/bridge"
)

const answerTimeout = 10 * time.Second // for a SUBACK

var errSubscribe = errors.New("the broker does not let us subscribe: allow it in the broker's ACL, or change CHATRELAY_TOPIC_PREFIX")

// filterEnd stands behind the filter, where it is remembered. No filter holds it.
const filterEnd = "\x00"

// subscription is what is remembered of a SUBSCRIBE. The bridge bit acts at the SUBSCRIBE, and stays with the session.
func (s *Side) subscription(level uint) string { return s.filter() + filterEnd + string(rune(level)) }

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
		k.client.Unsubscribe(former) // of a former prefix; if it fails, its mail is refused as bad_topic
	}
	t := k.client.Subscribe(s.filter(), 2, nil)
	if err := t.Error(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	limit := time.NewTimer(answerTimeout)
	defer limit.Stop()
	select {
	case code := <-k.subbed:
		if code > 2 { // 0x80: MQTT-3.9.3; paho's token says nothing of it
			return fmt.Errorf("%s: %w", s.filter(), errSubscribe)
		}
		s.granted(k, code)
	case <-k.closed():
		return k.conn().reason()
	case <-ctx.Done():
		return ctx.Err()
	case <-limit.C:
		return errors.New("the broker does not answer SUBSCRIBE")
	}
	s.filterAt = wanted
	k.raise(s.desk.SetState(bridge.MQTT, bridge.StateRow{Key: stateFilter, Value: []byte(s.filterAt)}))
	return nil
}

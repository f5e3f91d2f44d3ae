package mqttside

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
)

// will is what a broker is to publish when a connection breaks (MQTT-3.1.2.5).
type will struct {
	topic   string
	payload []byte
}

// checkStatus tries the status topic as the relay uses it: as a will, and to see other relays there. One login goes away
// without a goodbye, another one hears its will. Nothing of it is retained, and no relay takes it for a status.
func checkStatus(ctx context.Context, cfg *Config, u *url.URL) bridge.Step {
	st := bridge.Step{Name: "mqtt status topic at " + u.Host, OK: true}
	if cfg.StatusTopic == "" {
		st.Note = "CHATRELAY_STATUS_TOPIC is off: a second relay for the same inboxes is not noticed"
		return st
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	id := newNonce()
	word := fmt.Sprintf("check-%x", id[:])
	body, _ := json.Marshal(presence{word, cfg.ClientID, time.Now().UnixMilli(), word, cfg.Prefix}) // strings and a number never err
	hearer, err := greet(ctx, cfg, u, session{id: sideID(cfg), clean: true}, levelPlain)
	if err == nil {
		defer hearer.end()
		err = hearer.subscribe(cfg.StatusTopic)
	}
	if err != nil {
		st.OK, st.Note = false, remedy(ctx, err)
		return st
	}
	leaver, err := greet(ctx, cfg, u, session{id: sideID(cfg), clean: true, will: &will{cfg.StatusTopic, body}}, levelPlain)
	if err != nil {
		st.OK, st.Fatal = false, true // the relay logs in with it
		st.Note = fmt.Sprintf("the broker takes no login whose will is for %s (%v): %s", cfg.StatusTopic, err, statusFix(cfg, u))
		return st
	}
	leaver.vanish()
	if err := hearer.hears(cfg.StatusTopic, word); err != nil {
		st.OK = false
		st.Note = fmt.Sprintf("a will for %s does not arrive: %s. Without it a second relay is not noticed", cfg.StatusTopic, statusFix(cfg, u))
	} else {
		st.Note = cfg.StatusTopic + ", also as the will"
	}
	return st
}

func statusFix(cfg *Config, u *url.URL) string {
	return fmt.Sprintf(`%s"topic readwrite %s", or set CHATRELAY_STATUS_TOPIC to a topic that is allowed, or to off`, aclUser(cfg, u), cfg.StatusTopic)
}

// vanish ends the connection without a goodbye, so that the broker publishes the will.
func (t *talk) vanish() {
	t.stop()
	_ = t.conn.Close() // nothing more is said
}

// hears waits until a text comes in by a topic. An error: it did not in time.
func (t *talk) hears(topic, text string) error {
	if err := t.conn.SetReadDeadline(time.Now().Add(probePatience)); err != nil {
		return err
	}
	for {
		p, err := t.until(packets.Publish) // a retained status may come first
		if err != nil {
			return err
		}
		if m := p.(*packets.PublishPacket); m.TopicName == topic && strings.Contains(string(m.Payload), text) {
			return nil
		}
	}
}

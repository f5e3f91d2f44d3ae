package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Step is one thing that Check tried.
type Step struct {
	Name  string // what was tried
	OK    bool
	Fatal bool   // the relay cannot run without it
	Note  string // when OK: what was found; else what is wrong and how to mend it
}

const checkTimeout = 10 * time.Second

// Check connects as the configuration says, under client ids of its own, so that a running relay is not
// disturbed. Its messages go to the relay's own name below the prefix, which no relay passes on.
func Check(ctx context.Context, cfg Config) []Step {
	urls, err := cfg.prepare()
	if err != nil {
		return []Step{{Name: "mqtt configuration", Fatal: true, Note: err.Error()}}
	}
	steps := []Step{{Name: "mqtt configuration", OK: true, Note: fmt.Sprintf("client id %s, inboxes %s/+", cfg.ClientID, cfg.Prefix)}}
	reached := false
	for _, u := range urls {
		more := checkBroker(ctx, &cfg, u)
		reached = reached || more[len(more)-1].OK || !more[len(more)-1].Fatal
		steps = append(steps, more...)
	}
	if reached { // one broker of several is enough to run
		for i := range steps {
			steps[i].Fatal = false
		}
	}
	return steps
}

func checkBroker(ctx context.Context, cfg *Config, u *url.URL) []Step {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	login := Step{Name: "mqtt login at " + u.Host, Fatal: true}
	t, err := greet(ctx, cfg, u, "-check", levelBridge)
	if errors.Is(err, errLevel) {
		login.Note = "without the bridge bit: own publishes come back and are dropped"
		t, err = greet(ctx, cfg, u, "-check", levelPlain)
	}
	if err != nil {
		login.Note = remedy(err)
		return []Step{login}
	}
	t.end()
	login.OK = true
	return append([]Step{login, checkWindow(ctx, cfg, u)}, checkRights(ctx, cfg, u))
}

// remedy adds to an error which setting mends it, where it does not say so.
func remedy(err error) string {
	if errors.Is(err, errLogin) || errors.Is(err, errSubscribe) {
		return err.Error()
	}
	return short(err) + ": check CHATRELAY_MQTT_URL, CHATRELAY_MQTT_CA_FILE, and that the broker runs"
}

func checkWindow(ctx context.Context, cfg *Config, u *url.URL) Step {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	st := Step{Name: "mqtt publish window at " + u.Host, OK: true}
	most, err := receiveMaximum(ctx, cfg, u)
	switch {
	case err != nil:
		st.Note = "the broker's in-flight limit is unknown: keep CHATRELAY_MQTT_WINDOW at half of it"
	case most/2 < cfg.Window:
		st.Note = fmt.Sprintf("the broker takes %d in flight: the window is %d, not CHATRELAY_MQTT_WINDOW (raise max_inflight_messages)", most, max(1, most/2))
	default:
		st.Note = fmt.Sprintf("%d of the broker's %d", cfg.Window, most)
	}
	return st
}

// checkRights publishes and hears its own message: Mosquitto grants subscriptions on which it delivers nothing.
func checkRights(ctx context.Context, cfg *Config, u *url.URL) Step {
	st := Step{Name: "mqtt rights at " + u.Host, Fatal: true}
	err := tryRights(ctx, cfg, u, ownTopic(cfg))
	if err != nil {
		st.Note = fmt.Sprintf("cannot publish to and read %s/+ (%s): the broker's ACL must allow readwrite on %s/#, or change CHATRELAY_TOPIC_PREFIX",
			cfg.Prefix, short(err), cfg.Prefix)
		return st
	}
	st.OK, st.Note = true, "reads and writes "+cfg.Prefix+"/+"
	return st
}

func tryRights(ctx context.Context, cfg *Config, u *url.URL, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout/3)
	defer cancel()
	t, err := greet(ctx, cfg, u, "-check", levelPlain)
	if err != nil {
		return err
	}
	defer t.end()
	if err := t.subscribe(cfg.Prefix + "/+"); err != nil {
		return err
	}
	mark := newNonce()
	if err := t.publish(topic, mark[:]); err != nil {
		return err
	}
	for {
		p, err := t.until(packets.Publish)
		if err != nil {
			return errors.New("the message did not come back")
		}
		if m := p.(*packets.PublishPacket); m.TopicName == topic && string(m.Payload) == string(mark[:]) {
			return nil
		}
	}
}

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

// Check connects as the configuration says, beside the relay, so that a running one is not disturbed (but for a broker
// that replaces client ids: one login, which ends the relay's connection once and leaves its session as it is). Its messages go to the relay's own name below the prefix, which no relay passes on.
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
	most, err := askLimits(ctx, cfg, u)
	if away := (unreachable{}); !errors.Is(err, errReplaced) && !errors.As(err, &away) {
		err = trySide(ctx, cfg, u)
	}
	switch {
	case errors.Is(err, errReplaced):
		login.OK = true
		return []Step{login, {Name: "mqtt client ids at " + u.Host, Note: errReplaced.Error() +
			": rights and in-flight limit are not tried, for that would throw the relay out. Take it out of the broker's configuration"}}
	case err != nil:
		login.Note = remedy(err)
		return []Step{login}
	}
	login.OK, login.Note = true, checkLevel(ctx, cfg, u)
	return []Step{login, checkWindow(cfg, u, most), checkRights(ctx, cfg, u)}
}

func trySide(ctx context.Context, cfg *Config, u *url.URL) error {
	t, err := sideLogin(ctx, cfg, u)
	if err == nil {
		t.end()
	}
	return err
}

// checkLevel falls back as the relay does. Some brokers refuse the bridge bit, others hang up.
func checkLevel(ctx context.Context, cfg *Config, u *url.URL) (note string) {
	for range muteLimit {
		t, err := greet(ctx, cfg, u, session{id: sideID(cfg), clean: true}, levelBridge)
		if err == nil {
			t.end()
			return ""
		}
		if errors.Is(err, errLevel) {
			break
		}
	}
	return "without the bridge bit: own publishes come back and are dropped"
}

// remedy adds to an error which setting mends it, where it does not say so.
func remedy(err error) string {
	if errors.Is(err, errLogin) || errors.Is(err, errSubscribe) {
		return err.Error()
	}
	return short(err) + ": check CHATRELAY_MQTT_URL, CHATRELAY_MQTT_CA_FILE, and that the broker runs"
}

func checkWindow(cfg *Config, u *url.URL, most limits) Step {
	st := Step{Name: "mqtt publish window at " + u.Host, OK: true}
	switch {
	case most.receive == 0:
		st.Note = fmt.Sprintf("the broker does not tell its in-flight limit: the window is %d", min(cfg.Window, defaultWindow))
	case most.receive/2 < cfg.Window:
		st.Note = fmt.Sprintf("the broker takes %d in flight: the window is %d, not CHATRELAY_MQTT_WINDOW (raise max_inflight_messages)",
			most.receive, max(1, most.receive/2))
	default:
		st.Note = fmt.Sprintf("%d of the broker's %d", cfg.Window, most.receive)
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
	t, err := sideLogin(ctx, cfg, u)
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

package mqttside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"chatrelay/bridge"
	"chatrelay/mqttside/session"
)

// checkStatus tries the status topic as the relay uses it: as a will, and to see other relays there. One login goes away
// without a goodbye, another one hears its will. Nothing of it is retained, and no relay takes it for a status.
func checkStatus(ctx context.Context, cfg *Config, u *url.URL, level session.Level) bridge.Step {
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
	hearer, err := loginBeside(ctx, cfg, u, client{id: sideID(cfg), clean: true}, level)
	if err == nil {
		defer hearer.end()
		err = hearer.subscribe(cfg.StatusTopic)
	}
	if err != nil {
		return because(ctx, st, err)
	}
	leaver, err := loginBeside(ctx, cfg, u, client{id: sideID(cfg), clean: true, will: &session.Will{Topic: cfg.StatusTopic, Payload: body}}, level)
	if err != nil {
		st.OK, st.Fatal = false, true // the relay logs in with it
		st.Note = fmt.Sprintf("the broker takes no login whose will is for %s (%v)", cfg.StatusTopic, err)
		st.Fix = statusFix(cfg, u)
		return st
	}
	leaver.vanish()
	if err := hearer.hears(cfg.StatusTopic, word); err != nil {
		st.OK = false
		st.Note = fmt.Sprintf("a will for %s does not arrive: a second relay is not noticed", cfg.StatusTopic)
		st.Fix = statusFix(cfg, u)
	} else {
		st.Note = cfg.StatusTopic + ", also as the will"
	}
	return st
}

func statusFix(cfg *Config, u *url.URL) string {
	return fmt.Sprintf(`%s"topic readwrite %s", or set CHATRELAY_STATUS_TOPIC to a topic that is allowed, or to off`, aclUser(cfg, u), cfg.StatusTopic)
}

// vanish ends the connection without a goodbye, so that the broker publishes the will.
func (t *sideConnection) vanish() {
	t.stop()
	t.conn.Close(errParted)
	t.conn.Join()
}

// hears waits until a text comes in by a topic. An error: it did not in time.
func (t *sideConnection) hears(topic, text string) error {
	late := time.AfterFunc(probeTimeLimit, func() { t.conn.Close(errUnheard) })
	defer late.Stop()
	for {
		p, err := t.next() // a retained status may come first
		if err != nil {
			return err
		}
		if p.Topic == topic && strings.Contains(string(p.Payload), text) {
			return nil
		}
	}
}

var errUnheard = errors.New("nothing came in time")

package mqttside

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
	"chatrelay/mqttside/session"
)

const (
	mostDevices = 100_000 // that are remembered
	mostStatus  = 1 << 10 // bytes of what one says

	goneAfter = 30 * time.Second // without a word since the login, of a broker that has repeated those of others

	mostHangUps = 2 // at the subscription: it is not asked for again in a while. A third quick end would look like another client of our id
	hangUpsFor  = time.Hour
)

// devices is what devices say of themselves on topics of their own, by birth and will: whether they are there. It goes past the inbox and
// the journal, at QoS 0.
type devices struct {
	s      *Side
	filter string // empty: nobody asks

	mu       sync.Mutex // guards all below
	have     string     // what the session subscribes to
	hangUps  int        // that a subscription has met, one after the other
	asked    time.Time
	round    uint64            // grows with each login
	heard    map[string]uint64 // by landline: when it said something last
	repeats  bool              // the broker has brought what it retains, in this round
	unread   wait.Throttle
	overflow wait.Throttle
}

// hears takes what is on a status topic; false: the topic is another.
func (d *devices) hears(p *session.Publish) bool {
	d.mu.Lock()
	filter := d.filter
	if filter == "" {
		filter = d.have // until it is taken back
	}
	level, ok := levelOf(filter, p.Topic)
	if !ok || d.filter == "" {
		d.mu.Unlock()
		return ok
	}
	say, told := statusOf(p.Payload)
	var unread, overflow int64
	switch now := time.Now(); {
	case !d.s.landline(level) || !told:
		unread = d.unread.Add(now)
	case say == bridge.PresenceUnknown:
		delete(d.heard, level)
	case d.heard[level] == 0 && len(d.heard) >= mostDevices:
		overflow, told = d.overflow.Add(now), false
	default:
		d.heard[level] = d.round
		d.repeats = d.repeats || p.Retain
	}
	d.mu.Unlock()
	if unread > 0 {
		d.s.log.Warn().Str("topic", p.Topic).Int64("messages", unread).Str("fix", "let devices publish online, offline or away there, or a JSON object with such a status").
			Msg("what is said on a status topic (CHATRELAY_MQTT_PRESENCE) says of no landline whether it is there: passed over")
	}
	if overflow > 0 {
		d.s.log.Warn().Int("devices", mostDevices).Int64("messages", overflow).Msg("more devices say whether they are there than are remembered: the others are shown as unavailable")
	}
	if told && d.s.landline(level) {
		d.s.cfg.Present(level, say)
	}
	return true
}

// levelOf is what stands in a topic where a filter has its +; false: the topic is another.
func levelOf(filter, topic string) (level string, ok bool) {
	before, after, ok := strings.Cut(filter, "+")
	if !ok || len(topic) < len(before)+len(after) || !strings.HasPrefix(topic, before) || !strings.HasSuffix(topic, after) {
		return "", false
	}
	if level = topic[len(before) : len(topic)-len(after)]; strings.Contains(level, "/") {
		return "", false
	}
	return level, true
}

// statusOf reads what a device says: a word, or a JSON object with one as its status or state. Nothing at all takes a retained word back.
func statusOf(payload []byte) (p bridge.Presence, ok bool) {
	text := strings.TrimSpace(string(payload[:min(len(payload), mostStatus)]))
	switch {
	case len(payload) > mostStatus:
		return p, false
	case text == "":
		return bridge.PresenceUnknown, true
	case text[0] == '{':
		var o struct{ Status, State string }
		if json.Unmarshal([]byte(text), &o) != nil {
			return p, false
		}
		if text = o.Status; text == "" {
			text = o.State
		}
	}
	switch strings.ToLower(strings.Trim(text, `"`)) {
	case "online", "available", "connected", "ready", "on", "up", "true", "1":
		return bridge.PresenceOnline, true
	case "away", "idle", "busy", "sleeping":
		return bridge.PresenceAway, true
	case "offline", "unavailable", "disconnected", "lost", "off", "down", "false", "0":
		return bridge.PresenceOffline, true
	}
	return p, false
}

// follow subscribes to the status topics, behind all that messages need, and at each login: so the broker brings what it retains. It ends
// with the connection.
func (d *devices) follow(ctx context.Context, k *connection) {
	ctx, end := k.during(ctx)
	defer end()
	former, ask := d.begin(time.Now())
	if !ask {
		return
	}
	if former == "" { // remembered before the broker knows, or it could never be taken back
		k.conn.Raise(d.remember())
	}
	_, err := k.exchange(ctx, former, session.Filter{Topic: d.filter})
	refused, denied := errors.AsType[refusedFilter](err)
	if err != nil && !denied {
		return // the connection is ending, perhaps over this
	}
	if denied {
		d.s.log.Warn().Err(err).Str("fix", refused.fix(`"topic read `+d.filter+`" in the broker's ACL, or take CHATRELAY_MQTT_PRESENCE out`)).
			Msg("the broker does not let the relay see whether devices are there: all are shown as unavailable")
	}
	d.answered(former)
	if d.filter != "" && wait.Pause(ctx, goneAfter) {
		d.sweep()
	}
}

// begin tells whether to subscribe now, and what is to be taken back first. Some brokers end the connection over a filter that they do not
// allow: messages must not suffer from that.
func (d *devices) begin(now time.Time) (former string, ask bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if former = d.have; former == d.filter {
		former = ""
	}
	if former == "" && d.filter == "" || d.hangUps >= mostHangUps && now.Sub(d.asked) < hangUpsFor {
		return "", false
	}
	d.hangUps, d.asked = d.hangUps+1, now
	if d.hangUps == mostHangUps {
		d.s.log.Warn().Str("filter", d.filter).Msg("connections have ended when the relay subscribed to CHATRELAY_MQTT_PRESENCE: if this one does, too, that is not tried again within the hour")
	}
	d.round++
	d.repeats = false
	return former, true
}

// remember writes down what the session subscribes to.
func (d *devices) remember() (ticket uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.have == d.filter {
		return 0
	}
	d.have = d.filter
	row := bridge.StateRow{Key: stateDevices}
	if d.have != "" {
		row.Value = []byte(d.have)
	}
	return d.s.journal.SetState(bridge.MQTT, row)
}

// answered notes that the broker took the subscription, or refused it in good order.
func (d *devices) answered(former string) {
	d.mu.Lock()
	d.hangUps = 0
	d.mu.Unlock()
	if former != "" {
		d.remember()
	}
}

// sweep forgets those of which the broker, which repeats what it retains, has brought nothing in this login: it was taken back meanwhile.
func (d *devices) sweep() {
	d.mu.Lock()
	var gone []string
	for landline, round := range d.heard {
		if d.repeats && round < d.round {
			delete(d.heard, landline)
			gone = append(gone, landline)
		}
	}
	d.mu.Unlock()
	for _, landline := range gone {
		d.s.cfg.Present(landline, bridge.PresenceUnknown)
	}
}

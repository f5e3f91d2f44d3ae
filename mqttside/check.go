package mqttside

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/fix"
	"chatrelay/mqttside/session"
)

const (
	checkTimeout = 30 * time.Second // but for the search for a limit of length
	orPrefix     = ", or change CHATRELAY_TOPIC_PREFIX"
)

// Check connects as the configuration says, beside the relay, so that a running one is not disturbed (but for a broker
// that replaces client ids: one login, which ends the relay's connection once and leaves its session as it is). Its
// messages are probes, which no relay counts or passes on.
func Check(ctx context.Context, cfg Config) []bridge.Step {
	urls, err := cfg.prepare()
	if err != nil {
		return []bridge.Step{{Name: "mqtt configuration", Fatal: true, Note: err.Error()}}
	}
	steps := []bridge.Step{{Name: "mqtt configuration", OK: true, Note: fmt.Sprintf("client id %s, inboxes %s/+", cfg.ClientID, cfg.Prefix)}}
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

func checkBroker(ctx context.Context, cfg *Config, u *url.URL) []bridge.Step {
	whole, end := context.WithTimeout(ctx, checkTimeout+measureTime(cfg.longest(), lengthPause))
	defer end()
	ctx, cancel := context.WithTimeout(whole, checkTimeout)
	defer cancel()
	login := bridge.Step{Name: "mqtt login at " + u.Host, Fatal: true}
	level, limits, err := checkLogin(ctx, cfg, u)
	switch {
	case errors.Is(err, errReplaced):
		login.OK = true
		return []bridge.Step{login, {Name: "mqtt client ids at " + u.Host, Note: errReplaced.Error() +
			": rights and in-flight limit are not tried, for that would throw the relay out",
			Fix: "take it out of the configuration of the broker in CHATRELAY_MQTT_URL"}}
	case err != nil:
		return []bridge.Step{because(ctx, login, err)}
	}
	if cfg.Version == 3 {
		limits = checkLimits(ctx, cfg, u, level)
	}
	login.OK, login.Note = true, nameOfLevel(level)
	if level == levelPlain {
		login.Note += checkLevel(ctx, cfg, u)
	}
	steps := append([]bridge.Step{login, checkWindow(cfg, u, limits), checkExpiry(cfg, u, level, limits)}, checkRights(whole, cfg, u, level, limits)...)
	if last := steps[len(steps)-1]; last.Fatal && !last.OK {
		return steps
	}
	return append(steps, checkStatus(whole, cfg, u, level))
}

// checkLogin finds the best level at which a side login comes about, and what the broker says that it takes. A login that
// got no answer at one level is removed at the next.
func checkLogin(ctx context.Context, cfg *Config, u *url.URL) (level session.Level, limits session.Limits, err error) {
	var left leftSession
	for _, level = range levelsOf(cfg.Version) {
		if level == levelBridge { // a side login has no use for it
			continue
		}
		var t *sideConnection
		if t, err = sideLogin(ctx, cfg, u, level); err == nil {
			limits = t.conn.Limits
			limits.Expiry = t.kept
			t.end()
			if left.id != "" {
				err = removeSession(ctx, cfg, u, left.id, level)
			}
			return level, limits, err
		}
		if l, ok := errors.AsType[leftSession](err); ok {
			left = l
		}
		_, away := errors.AsType[unreachable](err)
		if away || errors.Is(err, errReplaced) || errors.Is(err, errLogin) || errors.Is(err, errNoQoS) {
			break
		}
	}
	return level, limits, err
}

// checkLimits asks as a relay does that is to speak MQTT 3.1.1 only. Without an answer they are unknown.
func checkLimits(ctx context.Context, cfg *Config, u *url.URL, level session.Level) session.Limits {
	limits, err := askLimits(ctx, cfg, u)
	if l, ok := errors.AsType[leftSession](err); ok {
		_ = removeSession(ctx, cfg, u, l.id, level) // it expires some time
	}
	return limits
}

// checkLevel falls back as the relay does. Some brokers refuse the bridge bit, others hang up.
func checkLevel(ctx context.Context, cfg *Config, u *url.URL) (note string) {
	for range muteLimit {
		t, err := loginBeside(ctx, cfg, u, client{id: sideID(cfg), clean: true}, levelBridge)
		if err == nil {
			t.end()
			return " with the bridge bit"
		}
		if errors.Is(err, errLevel) {
			break
		}
	}
	return ", without the bridge bit: own publishes come back and are dropped"
}

// because is a step that an error ended, with what mends it, where the error does not say so itself.
func because(ctx context.Context, st bridge.Step, err error) bridge.Step {
	st.OK = false
	if denied, ok := errors.AsType[refusedFilter](err); ok {
		st.Note, st.Fix = "the broker does not let us subscribe", denied.fix(aclSubscribe)
		return st
	}
	err = fix.Explain(ctx, err)
	st.Note, st.Fix = fix.Short(err), fix.For(fix.MQTT, err)
	return st
}

func checkWindow(cfg *Config, u *url.URL, most session.Limits) bridge.Step {
	st := bridge.Step{Name: "mqtt publish window at " + u.Host, OK: true}
	window, _ := windowOf(most, cfg.Window)
	switch {
	case most.Receive == 0:
		st.Note = fmt.Sprintf("the broker does not tell its in-flight limit: the window is %d", window)
	case window < cfg.Window:
		st.OK = false
		st.Note = fmt.Sprintf("the broker takes %d in flight: the window is %d, not the %d of CHATRELAY_MQTT_WINDOW", most.Receive, window, cfg.Window)
		st.Fix = fmt.Sprintf("raise its limit to %d or more (Mosquitto: max_inflight_messages), or leave CHATRELAY_MQTT_WINDOW out", 2*cfg.Window)
	default:
		st.Note = fmt.Sprintf("%d of the broker's %d", window, most.Receive)
	}
	return st
}

// checkExpiry tells for how long the broker keeps what waits for a relay that is away.
func checkExpiry(cfg *Config, u *url.URL, level session.Level, most session.Limits) bridge.Step {
	st := bridge.Step{Name: "mqtt session at " + u.Host, OK: true}
	switch {
	case level != level5:
		st.Note = "by MQTT 3.1.1 the broker does not tell for how long it keeps it"
	case most.Expiry != nil && *most.Expiry < cfg.SessionExpiry:
		st.OK = false
		st.Note = fmt.Sprintf("the broker keeps it for %v, not for the %v of CHATRELAY_MQTT_SESSION_EXPIRY: what waits there for a relay that is away longer is gone", *most.Expiry, cfg.SessionExpiry)
		st.Fix = fmt.Sprintf("raise its limit, or set CHATRELAY_MQTT_SESSION_EXPIRY=%v", *most.Expiry)
	default:
		st.Note = fmt.Sprintf("kept for %v while the relay is away", cfg.SessionExpiry)
	}
	return st
}

// checkRights lets probes come back, as the running relay does: MQTT 3.1.1 acknowledges what the broker drops, and
// Mosquitto grants subscriptions on which it delivers nothing.
func checkRights(ctx context.Context, cfg *Config, u *url.URL, level session.Level, limits session.Limits) []bridge.Step {
	rights := bridge.Step{Name: "mqtt rights at " + u.Host, Fatal: true}
	l, err := checkListener(ctx, cfg, u, level)
	if err != nil {
		rights = because(ctx, rights, err)
		if denied, ok := errors.AsType[refusedFilter](err); ok {
			rights.Fix = denied.fix(aclLine(cfg, u) + orPrefix)
		}
		return []bridge.Step{rights}
	}
	defer func() {
		if l != nil {
			l.close()
		}
	}()
	topic := cfg.Prefix + "/" + newProbeName()
	began := time.Now()
	ok, err := hears(ctx, l, l, topic, probeLeast, probeTimeLimit)
	step := limitFor(time.Since(began))
	switch {
	case err != nil:
		return []bridge.Step{because(ctx, rights, err)}
	case !ok:
		rights.Note = fmt.Sprintf("a probe published below %s/ does not come back", cfg.Prefix)
		rights.Fix = aclLine(cfg, u) + orPrefix + " (where rights go by client id, Mosquitto's %c, this cannot be tried beside the relay: run finds out)"
		return []bridge.Step{rights}
	}
	rights.OK = true
	rights.Note = fmt.Sprintf("reads and writes %s/+", cfg.Prefix)
	if level != level5 {
		rights.Note += " (a right that is missing for single inboxes is not seen: MQTT 3.1.1 does not tell)"
	}
	try := func(n int, limit time.Duration) (bool, error) {
		for closed := 0; ; {
			ok, err := hears(ctx, l, l, topic, n, limit)
			if !errors.Is(err, errHungUp) {
				return ok, err
			}
			l.close()
			if l, err = checkListener(ctx, cfg, u, level); err != nil {
				return false, err
			}
			if closed++; closed == 2 {
				return false, nil
			}
		}
	}
	most := cfg.longest()
	if limits.Packet > 0 {
		most = min(most, longestOf(limits, topic))
	}
	return []bridge.Step{rights, checkLengths(ctx, cfg, u, most, step, try)}
}

// checkLengths tries a message as long as is ever sent, or as the broker says that it takes, and else looks for its limit.
func checkLengths(ctx context.Context, cfg *Config, u *url.URL, most int, step time.Duration, try func(int, time.Duration) (bool, error)) bridge.Step {
	st := bridge.Step{Name: "mqtt message length at " + u.Host}
	ok, err := try(most, max(step, lengthPause))
	if err == nil && ok && most == cfg.longest() {
		st.OK, st.Note = true, fmt.Sprintf("takes messages of %d bytes", most)
		return st
	}
	low := most
	if err == nil && !ok {
		low, _, err = search(most, func(n int) (bool, error) { return try(n, step) })
	}
	if err != nil {
		return because(ctx, st, err)
	}
	st.Note = fmt.Sprintf("takes no message longer than %d bytes: longer ones are refused", low)
	st.Fix = fmt.Sprintf("%s to have %d", longFix, cfg.longest())
	return st
}

func checkListener(ctx context.Context, cfg *Config, u *url.URL, level session.Level) (*listener, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	t, err := sideLogin(ctx, cfg, u, level)
	if err != nil {
		return nil, err
	}
	return listen(t, cfg.Prefix+"/+")
}

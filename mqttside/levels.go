package mqttside

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/mqttside/session"
)

// Protocol levels, the best first.
const (
	level5      = session.Level5
	levelBridge = session.Level3Bridge
	levelPlain  = session.Level3
)

// levelsOf are those that a configured version allows (Config.Version).
func levelsOf(version byte) []session.Level {
	switch version {
	case 5:
		return []session.Level{level5}
	case 3:
		return []session.Level{levelBridge, levelPlain}
	}
	return []session.Level{level5, levelBridge, levelPlain}
}

func nameOfLevel(l session.Level) string {
	switch l {
	case level5:
		return "MQTT 5"
	case levelBridge:
		return "MQTT 3.1.1 with the bridge bit"
	}
	return "MQTT 3.1.1"
}

// muteLimit is how many connections in a row may end without a CONNACK before a plainer level is tried.
const muteLimit = 2

// A level that a CONNACK has proven is not left before so many, and not before so long: a broker that is restarted behind a balancer, which
// takes connections all the time, looks like one that does not know it.
const (
	provenMuteLimit = 6
	provenMuteTime  = time.Minute
)

// attempt is the search for a level that a broker knows, between two accepted logins.
type attempt struct {
	trying session.Level // 0: nothing has failed yet
	once   bool          // a plainer one is tried once
	silent int           // connections in a row without a CONNACK
	since  time.Time     // when the first of them ended
}

// answer is how a CONNECT ended that was not accepted.
type answer byte

const (
	answerNone   answer = iota // the connection ended without a CONNACK
	answerLevel                // a code that refuses the version, or what we say by it, or one that the level does not know
	answerLogin                // the login is refused: the level was understood
	answerOther                // so it was here
	answerRetain               // and here: the broker takes no will that is to be kept
)

// answerOf tells why a login was not accepted (MQTT-3.2.2.3; MQTT 5, 3.2.2.2). A broker that does not know a level may
// answer by another one's code.
func answerOf(err error) answer {
	r, ok := errors.AsType[session.Refused](err)
	if !ok {
		return answerNone
	}
	switch r.Code {
	case packets.ErrRefusedBadUsernameOrPassword, packets.ErrRefusedNotAuthorised:
		return answerLogin
	case packets.ErrRefusedIDRejected, packets.ErrRefusedServerUnavailable:
		return answerOther
	}
	if r.Level != level5 {
		return answerLevel
	}
	switch r.Code {
	case session.CodeNoRetain:
		return answerRetain
	case session.CodeBadLogin, session.CodeNotAuthorized, session.CodeBanned, session.CodeBadMethod:
		return answerLogin
	case session.CodeNoVersion, session.CodeMalformed, session.CodeProtocol:
		return answerLevel
	case session.CodeUnspecified, session.CodeOwnReasons, session.CodeClientID, session.CodeUnavailable, session.CodeBusy, session.CodeShutdown,
		session.CodeBadTopic, session.CodePacketTooLarge, session.CodeQuota, session.CodeBadPayload, session.CodeNoQoS,
		session.CodeOtherServer, session.CodeMoved, session.CodeRate: // all that MQTT 5 has (3.2.2.2)
		return answerOther
	}
	return answerLevel
}

// level is what the next CONNECT goes out with. The bridge bit is of no use where nothing of ours can hear beside the relay.
func (b *brokers) level(host string, now time.Time) session.Level {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	level := b.levels[0]
	switch {
	case at.trying != 0:
		level = at.trying
	case slices.Contains(b.levels, at.facts.level) && recent(at.levelAt, now):
		level = at.facts.level
	}
	if level == levelBridge && at.single(now) {
		return levelPlain
	}
	return level
}

// accepted: a CONNACK has proven a level. It returns what is to be said of it.
func (b *brokers) accepted(host string, level session.Level, now time.Time) (say string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	// A plainer level that holds on is not counted anew: the better one must be tried some time.
	lower := level != b.levels[0]
	if !(level == levelPlain && at.single(now)) && (at.facts.level != level || lower && !recent(at.levelAt, now)) {
		if at.facts.level != level && level == levelPlain {
			say = "the broker has no bridge bit: own publishes come back and are dropped as duplicates"
		}
		at.facts.level, at.levelAt = level, now
		b.save(host, at.facts)
	}
	at.attempt, at.refusedUs, at.canaries = attempt{}, false, 0
	return say
}

// refused takes in how a CONNECT ended that was not accepted. again: another one is to be tried at once, as a rule of a plainer
// level. say is what a person should know of it.
func (b *brokers) refused(host string, level session.Level, got answer, now time.Time) (again bool, say string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	at.trying, at.refusedUs = level, got == answerLogin
	switch got {
	case answerOther, answerLogin:
		at.silent, at.once = 0, false
		return false, ""
	case answerRetain:
		if again = !at.noRetain; again {
			say = "the broker keeps no messages: who subscribes to the status topic later is not told that the relay is online"
		}
		at.silent, at.once, at.noRetain = 0, false, true
		return again, say
	case answerNone:
		if at.silent++; at.silent == 1 {
			at.since = now
		}
		enough := at.silent >= muteLimit
		if level == at.facts.level {
			enough = at.silent >= provenMuteLimit && now.Sub(at.since) >= provenMuteTime
		}
		if !enough && !at.once {
			return false, ""
		}
	}
	next := slices.Index(b.levels, level) + 1
	if next == len(b.levels) { // none at any level: from the first again
		at.attempt = attempt{trying: b.levels[0]}
		return false, ""
	}
	plainer := b.levels[next]
	if got == answerNone {
		say = fmt.Sprintf("no CONNACK in %d connections with %s: trying %s", at.silent, nameOfLevel(level), nameOfLevel(plainer))
	} else {
		say = fmt.Sprintf("the broker refuses %s: trying %s", nameOfLevel(level), nameOfLevel(plainer))
	}
	at.attempt = attempt{trying: plainer, once: true}
	return true, say
}

// hearsItself tells whether a connection is brought what it publishes: by MQTT 5 on the topic of the probes alone.
func (k *connection) hearsItself() bool { return k.level != levelBridge }

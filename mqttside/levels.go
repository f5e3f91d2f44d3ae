package mqttside

import (
	"errors"
	"fmt"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/mqttside/session"
)

// Protocol levels, the best first.
const (
	levelBridge = session.Level3Bridge
	levelPlain  = session.Level3
)

// muteLimit is how many connections in a row may end without a CONNACK before a plainer level is tried.
const muteLimit = 2

// attempt is the search for a level that a broker knows, between two accepted logins.
type attempt struct {
	trying session.Level // 0: nothing has failed yet
	once   bool          // a plainer one is tried once
	silent int           // connections in a row without a CONNACK
}

// answer is how a CONNECT ended that was not accepted.
type answer byte

const (
	answerNone  answer = iota // the connection ended without a CONNACK
	answerLevel               // a code that refuses the version, or that MQTT 3.1.1 does not know (MQTT 5 has others)
	answerLogin               // the login is refused: the level was understood
	answerOther               // so it was here
)

// answerOf tells why a login was not accepted (MQTT-3.2.2.3).
func answerOf(err error) answer {
	code, known := byte(0), false
	if r := (session.Refused{}); errors.As(err, &r) {
		code, known = r.Code, true
	} else if r := (refused{}); errors.As(err, &r) {
		code, known = r.code, true
	}
	switch {
	case !known:
		return answerNone
	case code == packets.ErrRefusedBadProtocolVersion, code > packets.ErrRefusedNotAuthorised:
		return answerLevel
	case code == packets.ErrRefusedBadUsernameOrPassword, code == packets.ErrRefusedNotAuthorised:
		return answerLogin
	}
	return answerOther
}

// level is what the next CONNECT goes out with.
func (b *brokers) level(host string, now time.Time) session.Level {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	switch {
	case at.single(now):
		return levelPlain
	case at.trying != 0:
		return at.trying
	case at.facts.level == levelPlain && recent(at.levelAt, now):
		return levelPlain
	}
	return levelBridge
}

// accepted: a CONNACK has proven a level. It returns what is to be said of it.
func (b *brokers) accepted(host string, level session.Level, now time.Time) (say string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	// A plain level that holds on is not counted anew: the better one must be tried some time.
	if !at.single(now) && (at.facts.level != level || level == levelPlain && !recent(at.levelAt, now)) {
		if at.facts.level != level && level == levelPlain {
			say = "the broker has no bridge bit: own publishes come back and are dropped as duplicates"
		}
		at.facts.level, at.levelAt = level, now
		b.keep(host, at.facts)
	}
	at.attempt, at.refusedUs, at.canaries = attempt{}, false, 0
	at.pass5(now)
	return say
}

// refused takes in how a CONNECT ended that was not accepted. again: a plainer level is to be tried at once. say is
// what a person should know of it.
func (b *brokers) refused(host string, level session.Level, got answer) (again bool, say string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	at.trying, at.refusedUs = level, got == answerLogin
	switch got {
	case answerOther, answerLogin:
		at.silent, at.once = 0, false
		return false, ""
	case answerNone:
		if at.silent++; at.silent < muteLimit && !at.once {
			return false, ""
		}
		say = fmt.Sprintf("no CONNACK in %d connections with the bridge bit: trying MQTT 3.1.1 without it", at.silent)
	case answerLevel:
		say = "the broker refuses the bridge bit: trying MQTT 3.1.1 without it"
	}
	if level == levelPlain { // none at any level: from the first again
		at.attempt = attempt{trying: levelBridge}
		return false, ""
	}
	at.attempt = attempt{trying: levelPlain, once: true}
	return true, say
}

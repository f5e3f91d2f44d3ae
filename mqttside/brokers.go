package mqttside

import (
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/mqttside/session"
)

// stateBroker begins the key of what is known of one broker address; the address follows.
const stateBroker = "broker."

// factLife is how long a broker is taken to lack what it once lacked. Then it is tried again, at a login.
const factLife = time.Hour

// broker is what is known of one broker address. Only brokers reaches for it.
type broker struct {
	facts
	attempt
	limits // as the last login found them
	// safe: a side login had a session of its own, so that further ones disturb nobody.
	safe    bool
	leftIDs []string // of side logins whose sessions may be there still
	question
	lonely       time.Time // when no side login came about any more
	saidQoS      bool      // that it has no QoS 2
	saidReplaced bool      // that it replaces client ids
}

// question is what became of asking by MQTT 5.
type question struct {
	open      bool      // the last one had no answer; whether that means anything, the login behind it shows
	final     bool      // the version was refused
	mute      int       // those in a row that had none, although a login had one right after
	muted     time.Time // when asking ceased for a while
	refusedUs bool      // our own login was refused
	canaries  int       // side logins that were refused since, and taken for our own
}

// facts is kept in the journal.
type facts struct {
	level    session.Level // protocol level that a CONNACK has proven; 0: none
	levelAt  time.Time     // when a higher one had failed before it
	noQoS2   bool          // it answers at QoS 1
	qosAt    time.Time     // when a PUBACK showed that; zero: a SUBACK did, which counts as long as the session
	replaced bool          // it replaces client ids: a side login takes over the session of the relay
}

const factsVersion, factsLength = 1, 20

func (f facts) bytes() []byte {
	b := append(make([]byte, 0, factsLength), factsVersion, byte(f.level))
	b = binary.BigEndian.AppendUint64(b, uint64(f.levelAt.UnixMilli()))
	b = append(b, flag(f.noQoS2))
	b = binary.BigEndian.AppendUint64(b, uint64(milli(f.qosAt)))
	return append(b, flag(f.replaced))
}

// parseFacts reads what bytes wrote. What cannot be read is found out anew.
func parseFacts(b []byte) (f facts) {
	if len(b) != factsLength || b[0] != factsVersion {
		return f
	}
	f.level, f.levelAt = session.Level(b[1]), time.UnixMilli(int64(binary.BigEndian.Uint64(b[2:])))
	f.noQoS2, f.replaced = b[10] == 1, b[19] == 1
	if at := int64(binary.BigEndian.Uint64(b[11:])); at != 0 {
		f.qosAt = time.UnixMilli(at)
	}
	if f.level != levelBridge && f.level != levelPlain {
		f.level = 0
	}
	return f
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// recent tells whether something was found out within factLife. A clock that was set back makes it find out anew.
func recent(at, now time.Time) bool {
	age := now.Round(0).Sub(at.Round(0)) // on the wall: the journal keeps no other time
	return age >= 0 && age < factLife
}

// brokers is the side's knowledge of its brokers, by address (host:port, as in the URL).
type brokers struct {
	journal bridge.SideJournal

	mu     sync.Mutex // guards all below
	byHost map[string]*broker
}

func newBrokers(journal bridge.SideJournal) *brokers {
	return &brokers{journal: journal, byHost: map[string]*broker{}}
}

func (b *brokers) restore(state map[string][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, value := range state {
		if host, ok := strings.CutPrefix(key, stateBroker); ok {
			b.byHost[host] = &broker{facts: parseFacts(value)}
		}
	}
}

// of finds or makes the entry of an address. b.mu is held.
func (b *brokers) of(host string) *broker {
	found := b.byHost[host]
	if found == nil {
		found = &broker{}
		b.byHost[host] = found
	}
	return found
}

// keep writes down changed facts. b.mu is held.
func (b *brokers) keep(host string, f facts) {
	b.journal.SetState(bridge.MQTT, bridge.StateRow{Key: stateBroker + host, Value: f.bytes()})
}

// single tells whether nothing of ours can log in beside the relay, so that it has to hear itself.
func (b *broker) single(now time.Time) bool { return b.replaced || recent(b.lonely, now) }

// setLonely notes that no side login comes about. It is tried again after factLife.
func (b *brokers) setLonely(host string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(host).lonely = now
}

// single is broker.single.
func (b *brokers) single(host string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(host).single(now)
}

// replaces tells whether a broker gives a side login the session of the relay.
func (b *brokers) replaces(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(host).replaced
}

// setReplaced remembers it for good; true: it is to be said.
func (b *brokers) setReplaced(host string) (say bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	if !at.replaced {
		at.replaced = true
		b.keep(host, at.facts)
	}
	at.safe = false
	say, at.saidReplaced = !at.saidReplaced, true
	return say
}

// sideSafe tells whether a side login at the address has been seen to have a session of its own.
func (b *brokers) sideSafe(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	return at.safe && !at.replaced
}

func (b *brokers) setSafe(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(host).safe = true
}

// setLimits is what a login has found out; the zero value: nothing.
func (b *brokers) setLimits(host string, l limits, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	at.limits = l
	switch {
	case l.qos == 2 && at.noQoS2 && !recent(at.qosAt, now):
		at.noQoS2 = false
		b.keep(host, at.facts)
	case l.qos == 1 && !at.noQoS2:
		at.noQoS2, at.qosAt = true, time.Time{}
		b.keep(host, at.facts)
	}
}

// window is how many messages may be in flight, and whether notices may go beside them.
func (b *brokers) window(host string, configured int) (window int, roomy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	most := b.of(host).receive
	if most == 0 {
		return min(configured, defaultWindow), false
	}
	return max(1, min(configured, most/2)), most >= roomyFrom
}

// asks tells whether a question by MQTT 5 makes sense.
func (b *brokers) asks(host string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	return !at.replaced && !recent(at.muted, now)
}

// asked notes what a question by MQTT 5 came to.
func (b *brokers) asked(host string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	var refusal refusal5
	at.open = err != nil && !errors.Is(err, errReplaced)
	at.final = errors.As(err, &refusal) && refusal.version()
}

// pass5 counts an unanswered question now that a login is accepted. A broker behind a balancer that has just come back
// looks like one without MQTT 5, once. b.mu is held.
func (q *question) pass5(now time.Time) {
	switch {
	case !q.open:
		q.mute = 0
		return
	case q.final:
		q.mute = muteLimit
	default:
		q.mute++
	}
	q.open = false
	if q.mute >= muteLimit {
		q.mute, q.muted = 0, now
	}
}

// canary tells whether a refused side login is to be taken for the refusal of our own: the last one was refused, and
// many wrong passwords would lock us out. Now and then our own is tried nevertheless.
func (b *brokers) canary(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	if !at.refusedUs || at.canaries >= canaries {
		at.canaries = 0
		return false
	}
	at.canaries++
	return true
}

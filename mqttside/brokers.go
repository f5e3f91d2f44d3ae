package mqttside

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"time"

	"chatrelay/bridge"
	"chatrelay/mqttside/session"
)

// stateBroker begins the key of what is known of one broker address; the address follows.
const stateBroker = "broker."

// factAge is how long a broker is taken to lack what it once lacked. Then it is tried again, at a login.
const factAge = time.Hour

// broker is what is known of one broker address. Only brokers reaches for it.
type broker struct {
	facts
	attempt
	limits session.Limits // as the last login found them, or askLimits
	// Of askLimits: how often in a row there was no answer, and when it was asked last.
	silent5 int
	asked5  time.Time
	// safe: a side login had a session of its own, so that further ones disturb nobody.
	safe           bool
	leftIDs        []string  // of side logins whose sessions may be there still
	refusedUs      bool      // our own login was refused
	canaries       int       // side logins that were refused since, and taken for our own
	lonely         time.Time // when no side login came about any more
	warnedQoS      bool      // that it has no QoS 2
	warnedReplaced bool      // that it replaces client ids
	warnedExpiry   bool      // that it keeps the session for less than it is asked to
	noRetain       bool      // it refused a will that is to be kept
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
	if !slices.Contains(levelsOf(0), f.level) {
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

// recent tells whether something was found out within factAge. A clock that was set back makes it find out anew.
func recent(at, now time.Time) bool {
	age := now.Round(0).Sub(at.Round(0)) // on the wall: the journal keeps no other time
	return age >= 0 && age < factAge
}

// brokers is the side's knowledge of its brokers, by address (host:port, as in the URL).
type brokers struct {
	journal bridge.SideJournal
	levels  []session.Level // that may be spoken, the best first

	mu     sync.Mutex // guards all below
	byHost map[string]*broker
}

func newBrokers(journal bridge.SideJournal, version byte) *brokers {
	return &brokers{journal: journal, levels: levelsOf(version), byHost: map[string]*broker{}}
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

// save writes down changed facts. b.mu is held.
func (b *brokers) save(host string, f facts) {
	b.journal.SetState(bridge.MQTT, bridge.StateRow{Key: stateBroker + host, Value: f.bytes()})
}

// single tells whether nothing of ours can log in beside the relay, so that it has to hear itself.
func (b *broker) single(now time.Time) bool { return b.replaced || recent(b.lonely, now) }

// setLonely notes that no side login comes about. It is tried again after factAge.
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
		b.save(host, at.facts)
	}
	at.safe = false
	say, at.warnedReplaced = !at.warnedReplaced, true
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

// roomyFrom is a Receive Maximum that the backlog of a client seldom exceeds.
const roomyFrom = 1000

// setLimits is what a login has found out; the zero value: nothing.
func (b *brokers) setLimits(host string, l session.Limits, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.of(host)
	at.limits = l
	switch {
	case l.Receive == 0: // not told
	case l.QoS == 2 && at.noQoS2 && !recent(at.qosAt, now):
		at.noQoS2 = false
		b.save(host, at.facts)
	case l.QoS < 2 && !at.noQoS2: // at 0 nothing is confirmed: the SUBACK and the first publish will show it
		at.noQoS2, at.qosAt = true, time.Time{}
		b.save(host, at.facts)
	}
}

// window is how many messages may be in flight (0: auto), and whether notices may go beside them. Above its limit Mosquitto
// loses QoS 2 messages that it has acknowledged, and every resent packet counts, so it is at most a half of it.
func (b *brokers) window(host string, configured int) (window int, roomy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return windowOf(b.of(host).limits, configured)
}

func windowOf(l session.Limits, configured int) (window int, roomy bool) {
	switch {
	case l.Receive == 0 && configured == 0:
		return defaultWindow, false
	case l.Receive == 0:
		return min(configured, defaultWindow), false
	case configured == 0:
		configured = autoWindow
	}
	return max(1, min(configured, l.Receive/2)), l.Receive >= roomyFrom
}

// keepsNothing tells whether the will must not be one that is to be kept.
func (b *brokers) keepsNothing(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(host).noRetain
}

// longest is the longest payload that may go to a topic; 0: any, as far as the broker tells.
func (b *brokers) longest(host, topic string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.of(host).limits; l.Packet > 0 {
		return longestOf(l, topic)
	}
	return 0
}

func longestOf(l session.Limits, topic string) int {
	return max(1, l.Packet-publishOverhead-len(topic))
}

// publishOverhead is what a PUBLISH has beside topic and payload: fixed header, two lengths, packet id, no properties
// (MQTT 5, 3.3).
const publishOverhead = 5 + 2 + 2 + 1

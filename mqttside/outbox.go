package mqttside

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"chatrelay/bridge"
	"chatrelay/internal/wait"
)

// leg is one bound leg: a packet id is taken for it.
type leg struct {
	bridge.Outbound
	how
	topic  string
	seq    uint64 // order of binding, and of resuming
	ticket uint64 // of the last Bind
	// written: the broker may have it. Until then the leg can be given back.
	written bool
	// loose: it is not known whether the last Bind was committed. It is bound again before it is resumed.
	loose bool
}

// fate is what became of the session since the last connection.
type fate int

const (
	kept   fate = iota
	unsure      // there is one, but it may be newer than what the journal knows
	lost
)

// outbox is the view of the journal's bound legs that paho resumes from. paho's goroutines call it: nothing here
// waits. Only what the current link says counts.
type outbox struct {
	journal bridge.SideJournal
	changed *wait.Broadcast // rings when a place is free or all is settled

	mu      sync.Mutex // guards all below
	session nonce
	link    *link // nil: none is logged in
	legs    map[uint16]*leg
	seq     uint64
	inside  int  // legs that count against the window
	outside int  // the others
	called  bool // legs went back to the journal since Send last asked
	trust   trust
	held    []*leg    // acknowledged before a probe was heard
	since   int       // messages settled since the last probe that was heard went out
	longest int       // of them
	moved   time.Time // when a broker last acknowledged something, or the box ceased to be empty
}

func newOutbox(journal bridge.SideJournal, changed *wait.Broadcast) *outbox {
	return &outbox{journal: journal, changed: changed, legs: map[uint16]*leg{}}
}

// restore takes in what the journal says a wire held, in order. Legs that cannot be resumed are given back.
func (o *outbox) restore(session nonce, bound []bridge.BoundDelivery, topic func(string) (string, *bridge.Refusal)) (lost int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.session = session
	for _, b := range bound {
		h, err := parseHow(b.Binding)
		t, refusal := topic(b.To)
		switch {
		case refusal != nil:
			o.journal.Settle(bridge.Result{Ref: b.Ref, Err: refusal})
		case err != nil || o.legs[h.id] != nil:
			lost++
			o.journal.Count(bridge.MQTT, bridge.MaybeDuplicate, 1)
			o.journal.Unbind(b.Ref)
		default:
			l := &leg{Outbound: b.Outbound, how: h, topic: t, written: true}
			if h.session != session { // died between a new session and its bindings
				l.phase, l.loose = published, true
				o.journal.Count(bridge.MQTT, bridge.MaybeDuplicate, 1)
			}
			o.add(l)
		}
	}
	return lost
}

// put binds a leg that is about to be published on a link; false: that link does not count any more, and
// nothing that is written to it leaves.
func (o *outbox) put(k *link, out bridge.Outbound, p *packets.PublishPacket) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.link != k || o.legs[p.MessageID] != nil {
		return false
	}
	l := &leg{Outbound: out, topic: p.TopicName, how: how{session: o.session, id: p.MessageID, qos: p.Qos, phase: published}}
	o.bind(k, l)
	o.add(l)
	return true
}

func (o *outbox) add(l *leg) {
	if len(o.legs) == 0 {
		o.moved = time.Now()
	}
	o.seq++
	l.seq = o.seq
	o.legs[l.id] = l
	o.count(l, 1)
}

func (o *outbox) bind(k *link, l *leg) {
	l.ticket, l.loose = o.journal.Bind(l.Ref, l.bytes()), false
	k.raise(l.ticket)
}

func (o *outbox) count(l *leg, n int) {
	if beside(l.Kind, l.qos) {
		o.outside += n
		return
	}
	o.inside += n
}

// begin makes a link the one that counts, before paho resumes. fate is what became of the session. It returns how
// many legs go out again although the broker may have had them. noQoS2: it knows QoS 1 only.
func (o *outbox) begin(k *link, f fate, session nonce, noQoS2 bool) (maybe int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.link, o.moved, o.session, o.trust = k, time.Now(), session, untried
	if o.undone() {
		o.recall()
	}
	for _, l := range o.ordered() {
		if o.resume(k, l, f, noQoS2 && l.qos == 2) {
			maybe++
		}
	}
	if maybe > 0 {
		o.journal.Count(bridge.MQTT, bridge.MaybeDuplicate, maybe)
	}
	return maybe
}

// resume makes a leg ready for a link; true: the broker may have had it and will take it for a new one. lower: it goes
// on at QoS 1, and what had become of it at QoS 2 counts no more.
func (o *outbox) resume(k *link, l *leg, f fate, lower bool) (maybe bool) {
	anew := l.loose || l.session != o.session
	switch {
	case f == lost, // the packet ids mean nothing to the broker any more
		f == unsure && l.phase == released, // PUBREL to a session that is new would lose it
		lower:
		maybe, anew = l.written, true
		l.phase = published
	case l.qos == 1 && l.Kind != bridge.KindNotice:
		maybe = l.written // a broker may take a repeated PUBLISH for another one (MQTT-4.3.2)
	}
	if !anew {
		k.raise(l.ticket) // the last connection may have ended before the commit
		return maybe
	}
	if lower {
		o.count(l, -1)
		l.qos = 1
		o.count(l, 1)
	}
	l.session = o.session
	o.bind(k, l)
	return maybe
}

// undone tells whether the journal has taken a leg back that was never written.
func (o *outbox) undone() bool {
	for _, l := range o.legs {
		if err := o.journal.Wait(over, l.ticket); !l.written && err != nil && !errors.Is(err, context.Canceled) {
			return true
		}
	}
	return false
}

// end: a link is gone. What is bound stays, to be resumed.
func (o *outbox) end(k *link) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.link == k {
		o.link = nil
	}
}

// ack is the broker's answer on a link: the only truth about a leg. Del of paho's store would say no more. noQoS2: it
// was PUBACK to a message of QoS 2, by which a broker that has none says that it has the message (RabbitMQ, Azure IoT
// Hub). An error: the answer does not fit, and paho would give the packet id to another message.
func (o *outbox) ack(k *link, kind byte, id uint16) (noQoS2 bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.legs[id]
	if l == nil || o.link != k {
		return false, nil
	}
	o.moved = time.Now()
	switch {
	case kind == packets.Pubrec && l.qos == 2 && l.phase == published:
		// MQTT-4.3.3: from here on PUBREL is resumed; paho would send the PUBLISH again. A notice that comes twice, after
		// a crash, harms nobody: it is not worth a commit.
		l.phase = released
		if l.Kind != bridge.KindNotice {
			o.bind(k, l)
		}
	case kind == packets.Puback && l.phase == published, kind == packets.Pubcomp && l.phase == released:
		noQoS2 = kind == packets.Puback && l.qos == 2
		o.settle(l)
		o.changed.Wake()
	case kind != packets.Pubrec:
		return false, breachf("it answered a message of QoS %d out of turn, with packet type %d", l.qos, kind)
	}
	return noQoS2, nil
}

func (o *outbox) remove(l *leg) {
	delete(o.legs, l.id)
	o.count(l, -1)
}

// leaving: the PUBLISH of a packet id is about to be written.
func (o *outbox) leaving(k *link, id uint16) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if l := o.legs[id]; l != nil && o.link == k {
		l.written = true
	}
}

// barred: the journal did not commit what a link wants to write.
func (o *outbox) barred(k *link) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.link != k {
		return
	}
	o.link = nil // what is put from here on would overtake
	o.recall()
	o.changed.Wake()
}

// recalled tells, once, that legs went back to the journal. Whatever Send holds then may belong behind them.
func (o *outbox) recalled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.called
	o.called = false
	return was
}

// recall gives legs that were never written back to the journal: to resume some of them would put them before those
// whose binding is undone.
func (o *outbox) recall() {
	o.called = true
	for _, l := range o.ordered() {
		err := o.journal.Wait(over, l.ticket)
		if l.written {
			l.loose = l.loose || err != nil
			continue
		}
		o.remove(l)
		if err == nil || errors.Is(err, context.Canceled) { // else the journal has it back already
			o.journal.Unbind(l.Ref)
		}
	}
}

// ordered is all legs in order of binding.
func (o *outbox) ordered() []*leg {
	all := make([]*leg, 0, len(o.legs))
	for _, l := range o.legs {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *leg) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// packetIDs is what is to be resumed, in order.
func (o *outbox) packetIDs() []uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []uint16
	for _, l := range o.ordered() {
		ids = append(ids, l.id)
	}
	return ids
}

// packet is what is to be sent for a packet id; nil: nothing. It is made anew: paho changes it.
func (o *outbox) packet(id uint16) packets.ControlPacket {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.legs[id]
	if l == nil {
		return nil
	}
	if l.phase == released {
		p := packets.NewControlPacket(packets.Pubrel).(*packets.PubrelPacket)
		p.MessageID = l.id
		return p
	}
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.Dup, p.MessageID, p.TopicName, p.Payload = l.qos, true, l.id, l.topic, l.Body
	return p
}

// load is how many legs are in flight, in the window or beside it.
func (o *outbox) load(beside bool) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if beside {
		return o.outside
	}
	return o.inside
}

// released tells whether a leg waits for its PUBCOMP only.
func (o *outbox) released() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.legs {
		if l.phase == released {
			return true
		}
	}
	return false
}

func (o *outbox) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.legs) == 0
}

// stuck tells whether the broker has acknowledged nothing for long, although it has something to.
func (o *outbox) stuck(now time.Time, limit time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.legs) > 0 && now.Sub(o.moved) > limit
}

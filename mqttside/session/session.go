package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Message is one to be sent at QoS 1 or 2.
type Message struct {
	Topic   string
	Payload []byte // never changed
	QoS     byte
	Tag     any // the user's own handle
	// Repeatable: that it comes twice, after a crash, harms nobody. Its release is not worth a commit, and at QoS 1 it
	// counts beside the others.
	Repeatable bool
}

// Bound is a message that was in flight when the journal was last closed.
type Bound struct {
	Message
	Binding []byte // as last given to Journal.Bind
}

// Journal makes durable what a session must remember. Bind, Unbind and Save only enqueue, in order; they are called
// under the session's lock, and must not call the session. Tickets are running numbers.
type Journal interface {
	// Bind records that a message is about to be sent, or goes on, as binding says. It replaces an earlier one.
	Bind(tag any, binding []byte) (ticket uint64)
	// Unbind gives a message back: the session has it no more, and nothing of it was written.
	Unbind(tag any)
	// Save writes rows of the session's memory.
	Save(rows ...Row) (ticket uint64)
	// Wait waits until a ticket is committed. An error that is not ctx's: that commit failed. The messages that it would
	// have bound for the first time are back with the user.
	Wait(ctx context.Context, ticket uint64) error
}

// State is what became of a session since the last connection.
type State int

// States of a session.
const (
	StatePresent State = iota
	StateUnknown       // there is one, but it may be newer than what the journal knows
	StateGone
)

// Answer is what the broker has decided of a message.
type Answer struct {
	Message
	Code   byte   // from 0x80 on it refuses (MQTT 5, 2.4)
	Reason string // what it says to it, by MQTT 5
	// Place is that of the message in the order of sending, Newest that of the last one that was sent before the answer.
	Place, Newest uint64
}

// delivery is a message in flight: a packet id is taken for it.
type delivery struct {
	Message
	binding
	seq    uint64 // order of binding, and of resuming
	ticket uint64 // of the last Bind
	// written: the broker may have it. Until then it can be given back.
	written bool
	// uncertain: it is not known whether the last Bind was committed. It is bound again before it is resumed.
	uncertain bool
	// resumed: it went out before, under this packet id in this session.
	resumed bool
	// renamed: it has a new packet id, as another message had the last one; the broker may have it by that.
	renamed bool
}

// outside tells what has no part in the window.
func (d *delivery) outside() bool { return d.Repeatable && d.qos == 1 }

// Session is what outlives connections: what is in flight, and what came in. Only the newest connection that it was
// resumed on counts. Its lock comes before a connection's.
type Session struct {
	Received *ReceivedIDs
	journal  Journal

	mu   sync.Mutex // guards all below
	id   ID
	conn *Conn // nil: none is logged in
	packetIDs
	seq      uint64
	inside   int  // deliveries that count against the window
	beside   int  // the others
	gaveBack bool // since GaveBack was asked last
	moved    time.Time
	// waiting is what is resumed, and sent after that, while the broker has as many as it may at once.
	waiting []*delivery
	free    int // places that the broker has for them; below 0: it has more than it may
}

// New makes a session without a name. Load, Renew or both come before the first Resume.
func New(journal Journal) *Session {
	return &Session{journal: journal, packetIDs: packetIDs{byID: map[uint16]*delivery{}},
		Received: &ReceivedIDs{journal: journal, byID: map[uint16]*ReceivedID{}}}
}

// Load takes in the name of the session that a journal remembers, and the rows that it was given by Save. What was in
// flight follows by Restore.
func (s *Session) Load(id ID, rows map[string][]byte) {
	s.mu.Lock()
	s.id = id
	s.mu.Unlock()
	s.Received.restore(id, rows)
}

// Restore takes in a message that was in flight, in order of binding. known is false where it cannot be resumed: it was
// given back. maybe: the broker may have had it, and will take it for a new one.
func (s *Session) Restore(b Bound) (known, maybe bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bound, err := parseBinding(b.Binding)
	if err != nil || s.byID[bound.id] != nil {
		s.journal.Unbind(b.Tag)
		return false, true
	}
	d := &delivery{Message: b.Message, binding: bound, written: true}
	if bound.session != s.id { // died between a new session and its bindings
		d.phase, d.uncertain, maybe = published, true, true
	}
	s.add(d)
	return true, maybe
}

// Renew begins a new session: what came in counts no more, what is in flight is to be resumed as of a session that is
// gone. It returns the rows that go with it.
func (s *Session) Renew(id ID) []Row {
	s.mu.Lock()
	s.id = id
	s.mu.Unlock()
	return s.Received.renew(id)
}

// write puts the packet of a delivery in line. A connection that has closed takes nothing, and the next one resumes.
func (s *Session) write(d *delivery, again bool) {
	if d.phase == released {
		_ = s.conn.send(packet{kind: kindPubrel, id: d.id})
		return
	}
	_ = s.conn.send(packet{kind: kindPublish, Publish: Publish{
		Topic: d.Topic, Payload: d.Payload, QoS: d.qos, Dup: again, PacketID: d.id}})
}

// Send binds a message and puts it in line; false: the connection does not count any more, or no packet id is free.
// From then on the session has it, whatever becomes of the connection.
func (s *Session) Send(c *Conn, m Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.mu.Lock()
	closed := c.ending.closeReason()
	c.mu.Unlock()
	if s.conn != c || closed != nil || len(s.byID) >= firstRequest-1 {
		return false
	}
	d := &delivery{Message: m, binding: binding{session: s.id, id: s.freeID(), qos: m.QoS, phase: published}}
	s.bind(d)
	s.add(d)
	if len(s.waiting) > 0 { // nothing overtakes what is resumed
		s.waiting = append(s.waiting, d)
	} else {
		s.write(d, false)
	}
	return true
}

func (s *Session) add(d *delivery) {
	if len(s.byID) == 0 {
		s.moved = time.Now()
	}
	s.seq++
	d.seq = s.seq
	s.byID[d.id] = d
	s.count(d, 1)
}

// bind records a delivery. What the connection is given from here on waits for that.
func (s *Session) bind(d *delivery) {
	d.ticket, d.uncertain = s.journal.Bind(d.Tag, d.bytes()), false
	s.conn.Raise(d.ticket)
}

func (s *Session) count(d *delivery, n int) {
	if d.outside() {
		s.beside += n
		return
	}
	s.inside += n
}

// refusedFrom is the lowest code by which a broker refuses (MQTT 5, 2.4).
const refusedFrom = 0x80

// answer is what a packet of the broker comes to.
type answer struct {
	Answer
	decided    bool
	downgraded bool // PUBACK came to QoS 2
}

// answered takes in PUBACK, PUBREC or PUBCOMP. An error: it does not fit.
func (s *Session) answered(c *Conn, p *packet) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return answer{}, nil
	}
	d := s.byID[p.id]
	if d == nil {
		if p.kind == kindPubrec && p.code < refusedFrom { // MQTT-4.3.3: the broker is to end what it still has
			_ = c.send(packet{kind: kindPubrel, id: p.id})
		}
		return answer{}, nil
	}
	s.moved = time.Now()
	refused := p.code >= refusedFrom && p.kind != kindPubcomp && !d.known(p)
	switch {
	case refused && p.code == CodeIDInUse && d.phase == published: // the broker's session is not what we take it for
		if s.rename(d) {
			s.bind(d)
		}
		return answer{}, Ended{p.code, p.reason}
	case refused && d.phase == published: // MQTT 5, 4.3: the exchange is over
		return s.decide(d, p, p.code), nil
	case p.kind == kindPubrec:
		// MQTT-4.3.3: from here on PUBREL is resumed.
		if d.qos == 2 && d.phase == published {
			d.phase = released
			if !d.Repeatable {
				s.bind(d)
			}
		}
		_ = c.send(packet{kind: kindPubrel, id: p.id})
		return answer{}, nil
	case p.kind == kindPuback && d.phase == published, p.kind == kindPubcomp && d.phase == released:
		return s.decide(d, p, 0), nil // PUBCOMP decides nothing: the broker had the message
	}
	return answer{}, breachf("it answered a message of QoS %d out of turn, with packet type %d", d.qos, p.kind)
}

func (s *Session) decide(d *delivery, p *packet, code byte) answer {
	s.remove(d)
	s.follow()
	return answer{Answer{d.Message, code, p.reason, d.seq, s.seq}, true, p.kind == kindPuback && code == 0 && d.qos == 2}
}

// follow sends the next one that waits, as one has ended. Such as were given back meanwhile do not go.
func (s *Session) follow() {
	s.free++
	for len(s.waiting) > 0 && s.free > 0 {
		d := s.waiting[0]
		if s.waiting = s.waiting[1:]; s.byID[d.id] == d {
			s.free--
			s.write(d, d.written)
		}
	}
}

func (s *Session) remove(d *delivery) {
	delete(s.byID, d.id)
	s.count(d, -1)
}

// leaving: the PUBLISH of a packet id is about to be written.
func (s *Session) leaving(c *Conn, id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.byID[id]; d != nil && s.conn == c {
		d.written = true
	}
}

// commitFailed: the journal did not commit what a connection is to write.
func (s *Session) commitFailed(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return
	}
	s.conn = nil // what is sent from here on would overtake
	s.giveBack()
	c.o.Handler.Changed()
}

// undone tells whether the journal has taken back a delivery that was never written.
func (s *Session) undone() bool {
	for _, d := range s.byID {
		if !d.written && s.failed(d) {
			return true
		}
	}
	return false
}

// failed tells whether the commit of the last Bind failed.
func (s *Session) failed(d *delivery) bool {
	err := s.journal.Wait(over, d.ticket)
	return err != nil && !errors.Is(err, context.Canceled)
}

// giveBack gives deliveries that were never written back to the user: to resume some of them would put them before those
// whose binding is undone.
func (s *Session) giveBack() {
	s.gaveBack = true
	for _, d := range s.ordered() {
		if d.written {
			d.uncertain = d.uncertain || s.journal.Wait(over, d.ticket) != nil
			continue
		}
		s.remove(d)
		if !s.failed(d) { // else the user has it already
			s.journal.Unbind(d.Tag)
		}
	}
}

// GaveBack tells, once, that messages went back to the user. Whatever is to be sent next may belong behind them.
func (s *Session) GaveBack() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.gaveBack
	s.gaveBack = false
	return was
}

// End takes a connection out of use. What is in flight stays, to be resumed.
func (s *Session) End(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == c {
		s.conn = nil
	}
}

// ordered is all that is in flight, in order of binding.
func (s *Session) ordered() []*delivery {
	all := make([]*delivery, 0, len(s.byID))
	for _, d := range s.byID {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *delivery) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

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
}

// outside tells what has no part in the window.
func (d *delivery) outside() bool { return d.Repeatable && d.qos == 1 }

// Session is what outlives connections: what is in flight, and what came in. Only the newest connection that it was
// resumed on counts. Its lock comes before a connection's.
type Session struct {
	Received *ReceivedIDs
	journal  Journal

	mu       sync.Mutex // guards all below
	id       ID
	conn     *Conn // nil: none is logged in
	byID     map[uint16]*delivery
	last     uint16 // packet id that was taken last
	seq      uint64
	inside   int  // deliveries that count against the window
	beside   int  // the others
	gaveBack bool // since GaveBack was asked last
	moved    time.Time
}

// New makes a session without a name. Load, Renew or both come before the first Resume.
func New(journal Journal) *Session {
	return &Session{journal: journal, byID: map[uint16]*delivery{},
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

// Resume makes a connection the one that counts and puts in line what is in flight, in order, before anything new. onlyQoS1:
// the broker has no QoS 2. It returns how many go out again although the broker may have had them.
func (s *Session) Resume(c *Conn, state State, onlyQoS1 bool) (maybe int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.session = s
	s.conn, s.moved = c, time.Now()
	if s.undone() {
		s.giveBack()
	}
	for _, d := range s.ordered() {
		if s.resume(d, state, onlyQoS1 && d.qos == 2) {
			maybe++
		}
		s.write(d, true)
	}
	return maybe
}

// resume makes a delivery ready; true: the broker may have had it and will take it for a new one. lower: it goes on at
// QoS 1, and what had become of it at QoS 2 counts no more.
func (s *Session) resume(d *delivery, state State, lower bool) (maybe bool) {
	anew := d.uncertain || d.session != s.id
	switch {
	case state == StateGone, // the packet ids mean nothing to the broker any more
		state == StateUnknown && d.phase == released, // PUBREL to a session that is new would lose it
		lower:
		maybe, anew = d.written, true
		d.phase = published
	case d.qos == 1 && !d.Repeatable:
		maybe = d.written // a broker may take a repeated PUBLISH for another one (MQTT-4.3.2)
	}
	if !anew {
		s.conn.Raise(d.ticket) // the last connection may have ended before the commit
		return maybe
	}
	if lower {
		s.count(d, -1)
		d.qos = 1
		s.count(d, 1)
	}
	d.session = s.id
	s.bind(d)
	return maybe
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
	for ok := true; ok; _, ok = s.byID[s.last] {
		if s.last++; s.last >= firstRequest {
			s.last = 1
		}
	}
	d := &delivery{Message: m, binding: binding{session: s.id, id: s.last, qos: m.QoS, phase: published}}
	s.bind(d)
	s.add(d)
	s.write(d, false)
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

// answered takes in PUBACK, PUBREC or PUBCOMP. downgraded: PUBACK came to QoS 2. An error: the answer does not fit.
func (s *Session) answered(c *Conn, kind byte, id uint16) (downgraded bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return false, nil
	}
	d := s.byID[id]
	if d == nil {
		if kind == kindPubrec { // MQTT-4.3.3: the broker is to end what it still has
			_ = c.send(packet{kind: kindPubrel, id: id})
		}
		return false, nil
	}
	s.moved = time.Now()
	switch {
	case kind == kindPubrec:
		// MQTT-4.3.3: from here on PUBREL is resumed.
		if d.qos == 2 && d.phase == published {
			d.phase = released
			if !d.Repeatable {
				s.bind(d)
			}
		}
		_ = c.send(packet{kind: kindPubrel, id: id})
	case kind == kindPuback && d.phase == published, kind == kindPubcomp && d.phase == released:
		s.remove(d)
		c.o.Handler.Acked(d.Message)
		c.o.Handler.Changed()
		return kind == kindPuback && d.qos == 2, nil
	default:
		return false, breachf("it answered a message of QoS %d out of turn, with packet type %d", d.qos, kind)
	}
	return false, nil
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

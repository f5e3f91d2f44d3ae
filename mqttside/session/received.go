package session

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
)

// Row is a piece of the session's memory in the journal. A nil Value removes it.
type Row struct {
	Key   string
	Value []byte
}

const rowPrefix = "in."

// ReceivedID remembers that the journal has, or is about to have, the message of an inbound packet id (MQTT-4.3.3 for
// QoS 2; for QoS 1 until the id is used again).
type ReceivedID struct {
	qos  byte
	hash [16]byte
	gen  uint64        // of the connection that brought it last; 0: before this process
	done chan struct{} // closed once it is known whether the journal has it
	err  error         // read after done: why it has it not
}

// Done is closed once it is known whether the journal has the message.
func (r *ReceivedID) Done() <-chan struct{} { return r.done }

// Taken tells, after Done, whether it has it.
func (r *ReceivedID) Taken() bool { return r.err == nil }

// ReceivedIDs are the inbound packet ids of a session. They are kept in the journal: written with the message itself,
// removed when the broker releases the id.
type ReceivedIDs struct {
	journal Journal

	mu   sync.Mutex // guards all below
	id   ID
	byID map[uint16]*ReceivedID
	gen  uint64 // of the connection that brought the newest message
}

// restore takes in the rows of a session. Those of another are worth nothing, and go: what was in the journal's
// hands when a session was lost is written behind its end.
func (r *ReceivedIDs) restore(id ID, state map[string][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id = id
	known := make(chan struct{})
	close(known)
	var stale []Row
	for key, value := range state {
		text, ok := strings.CutPrefix(key, rowPrefix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || len(value) != len(ID{})+1+16 || ID(value[:8]) != id {
			stale = append(stale, Row{Key: key})
			continue
		}
		r.byID[uint16(n)] = &ReceivedID{qos: value[8], hash: [16]byte(value[9:]), done: known}
	}
	if len(stale) > 0 {
		r.journal.Save(stale...)
	}
}

// Known finds what a redelivery repeats: the same id, DUP set, the same topic and payload; nil: it is new. gen numbers
// the connection that brought it.
func (r *ReceivedIDs) Known(gen uint64, p *Publish) *ReceivedID {
	if !p.Dup {
		return nil
	}
	hash := digest(p.Topic, p.Payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.byID[p.PacketID]; found != nil && found.hash == hash {
		found.gen = gen
		return found
	}
	return nil
}

// Open remembers a message that is about to go into the journal. The rows go there with it, and Close says what came
// of it.
func (r *ReceivedIDs) Open(gen uint64, p *Publish) (*ReceivedID, []Row) {
	hash := digest(p.Topic, p.Payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	var rows []Row
	if !p.Dup {
		rows = r.expire(gen)
	}
	fresh := &ReceivedID{qos: p.QoS, hash: hash, gen: gen, done: make(chan struct{})}
	r.byID[p.PacketID] = fresh
	value := append(append(r.id[:len(ID{}):len(ID{})], p.QoS), hash[:]...)
	return fresh, append(rows, Row{Key: rowKey(p.PacketID), Value: value})
}

// expire forgets the QoS 1 ids of earlier connections once a connection brings something new: all that is
// redelivered has come before it (MQTT-4.6.0-6). One that stayed would swallow an equal message, should the
// broker use its id again.
func (r *ReceivedIDs) expire(gen uint64) []Row {
	if r.gen == gen {
		return nil
	}
	r.gen = gen
	var gone []Row
	for id, x := range r.byID {
		if x.qos == 1 && x.gen < gen {
			gone = append(gone, Row{Key: rowKey(id)})
			delete(r.byID, id)
		}
	}
	return gone
}

// Close says what became of what Open began; nil: the journal has it.
func (r *ReceivedIDs) Close(id uint16, x *ReceivedID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.byID[id] == x {
		delete(r.byID, id)
	}
	x.err = err
	close(x.done)
}

// release forgets a packet id at the broker's PUBREL. The PUBCOMP that answers it waits for the commit, and so does
// that of a repeated PUBREL: the first removal may not be committed yet.
func (r *ReceivedIDs) release(c *Conn, id uint16) {
	r.mu.Lock()
	found := r.byID[id]
	other := found != nil && found.qos != 2
	if !other {
		delete(r.byID, id)
	}
	r.mu.Unlock()
	if other {
		return
	}
	c.Raise(r.journal.Save(Row{Key: rowKey(id)}))
}

// renew begins a new session: the old ids mean nothing any more.
func (r *ReceivedIDs) renew(id ID) []Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id = id
	var gone []Row
	for id := range r.byID {
		gone = append(gone, Row{Key: rowKey(id)})
	}
	clear(r.byID)
	return gone
}

func rowKey(id uint16) string { return rowPrefix + strconv.Itoa(int(id)) }

// digest tells messages on one packet id apart.
func digest(topic string, payload []byte) (out [16]byte) {
	h := sha256.New()
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(topic)))
	h.Write(n[:]) // a hash never errs
	h.Write([]byte(topic))
	h.Write(payload)
	copy(out[:], h.Sum(nil))
	return out
}

package mqttside

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"

	"chatrelay/bridge"
)

const rowPrefix = "in."

// row remembers that the journal has, or is about to have, the message of an inbound packet id (MQTT-4.3.3 for
// QoS 2; for QoS 1 until the id is used again).
type row struct {
	qos  byte
	hash [16]byte
	gen  uint64        // of the connection that brought it last; 0: before this process
	done chan struct{} // closed once it is known whether the journal has it
	err  error         // read after done: why it has it not
}

// rows are the inbound packet ids of the session at the broker. They are kept in the journal: written with the
// message itself, removed when the broker releases the id.
type rows struct {
	journal bridge.SideJournal

	mu      sync.Mutex // guards all below
	session nonce
	byID    map[uint16]*row
	gen     uint64 // of the connection that brought the newest message
}

func newRows(journal bridge.SideJournal) *rows {
	return &rows{journal: journal, byID: map[uint16]*row{}}
}

// restore takes in the rows of a session. Those of another are worth nothing, and go: what was in the intake's
// hands when a session was lost is written behind its end.
func (r *rows) restore(session nonce, state map[string][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = session
	known := make(chan struct{})
	close(known)
	var stale []bridge.StateRow
	for key, value := range state {
		text, ok := strings.CutPrefix(key, rowPrefix)
		if !ok {
			continue
		}
		id, err := strconv.ParseUint(text, 10, 16)
		if err != nil || len(value) != len(nonce{})+1+16 || nonce(value[:8]) != session {
			stale = append(stale, bridge.StateRow{Key: key})
			continue
		}
		r.byID[uint16(id)] = &row{qos: value[8], hash: [16]byte(value[9:]), done: known}
	}
	if len(stale) > 0 {
		r.journal.SetState(bridge.MQTT, stale...)
	}
}

// match finds the row that a redelivery repeats: the same id, DUP set, the same topic and payload.
func (r *rows) match(gen uint64, id uint16, dup bool, hash [16]byte) *row {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.byID[id]; found != nil && dup && found.hash == hash {
		found.gen = gen
		return found
	}
	return nil
}

// expire forgets the QoS 1 rows of earlier connections once a connection brings something new: all that is
// redelivered has come before it (MQTT-4.6.0-6). A row that stayed would swallow an equal message, should the
// broker use its id again.
func (r *rows) expire(gen uint64) []bridge.StateRow {
	if r.gen == gen {
		return nil
	}
	r.gen = gen
	var gone []bridge.StateRow
	for id, x := range r.byID {
		if x.qos == 1 && x.gen < gen {
			gone = append(gone, bridge.StateRow{Key: rowKey(id)})
			delete(r.byID, id)
		}
	}
	return gone
}

// open makes a pending row and the state that goes into the journal with its message.
func (r *rows) open(gen uint64, id uint16, dup bool, qos byte, hash [16]byte) (*row, []bridge.StateRow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var state []bridge.StateRow
	if !dup {
		state = r.expire(gen)
	}
	fresh := &row{qos: qos, hash: hash, gen: gen, done: make(chan struct{})}
	r.byID[id] = fresh
	value := append(append(r.session[:len(nonce{}):len(nonce{})], qos), hash[:]...)
	return fresh, append(state, bridge.StateRow{Key: rowKey(id), Value: value})
}

// close says what became of a pending row.
func (r *rows) close(id uint16, x *row, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.byID[id] == x {
		delete(r.byID, id)
	}
	x.err = err
	close(x.done)
}

// release forgets a packet id at the broker's PUBREL. The PUBCOMP that answers it carries the ticket, and so does
// that of a repeated PUBREL: the first removal may not be committed yet.
func (r *rows) release(id uint16) (ticket uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.byID[id]; found != nil && found.qos != 2 {
		return 0
	}
	delete(r.byID, id)
	return r.journal.SetState(bridge.MQTT, bridge.StateRow{Key: rowKey(id)})
}

// renew begins a new session: the old ids mean nothing any more.
func (r *rows) renew(session nonce) []bridge.StateRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = session
	var gone []bridge.StateRow
	for id := range r.byID {
		gone = append(gone, bridge.StateRow{Key: rowKey(id)})
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

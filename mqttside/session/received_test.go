package session

import (
	"errors"
	"testing"
)

func newReceived(j Journal, id ID, rows map[string][]byte) *ReceivedIDs {
	s := New(j)
	s.Load(id, rows)
	return s.Received
}

func arrived(id uint16, dup bool, qos byte, payload string) *Publish {
	return &Publish{Topic: "t", Payload: []byte(payload), QoS: qos, Dup: dup, PacketID: id}
}

func TestReceivedIDs(t *testing.T) {
	j, id := newFakeJournal(), NewID()
	r := newReceived(j, id, nil)
	if digest("ta", []byte("b")) == digest("t", []byte("ab")) {
		t.Error("topic and payload run together")
	}
	x, rows := r.Open(1, arrived(7, false, 2, "a"))
	if r.Known(2, arrived(7, true, 2, "a")) != x {
		t.Error("a redelivery is not known")
	}
	if r.Known(2, arrived(7, false, 2, "a")) != nil || r.Known(2, arrived(7, true, 2, "b")) != nil || r.Known(2, arrived(8, true, 2, "a")) != nil {
		t.Error("a new message is taken for a redelivery")
	}
	r.Close(7, x, nil)

	again := newReceived(j, id, map[string][]byte{rows[0].Key: rows[0].Value, "in.x": {1}, "session": id[:]}) // after a restart
	if got := again.Known(1, arrived(7, true, 2, "a")); got == nil || !got.Taken() {
		t.Error("forgotten over a restart")
	}
	stranger := newReceived(j, NewID(), map[string][]byte{rows[0].Key: rows[0].Value})
	if stranger.Known(1, arrived(7, true, 2, "a")) != nil {
		t.Error("a row of another session counts")
	}
	c, _ := logIn(t, &user{}, false)
	r.release(c, 7)
	if c.out.raised != 1 || r.Known(2, arrived(7, true, 2, "a")) != nil {
		t.Error("PUBREL does not release the id")
	}
	if r.release(c, 7); c.out.raised != 2 {
		t.Error("the PUBCOMP of a repeated PUBREL does not wait until the id is released in the journal")
	}
	y, _ := r.Open(2, arrived(9, false, 1, "a"))
	r.Close(9, y, nil)
	if r.release(c, 9); c.out.raised != 2 || r.Known(2, arrived(9, true, 1, "a")) == nil {
		t.Error("PUBREL released a QoS 1 row")
	}
	z, _ := r.Open(2, arrived(10, false, 2, "a"))
	r.Close(10, z, errors.New("full"))
	if r.Known(2, arrived(10, true, 2, "a")) != nil {
		t.Error("a message that was not taken has a row")
	}
	if gone := r.renew(NewID()); len(gone) != 1 || gone[0].Key != "in.9" || r.Known(2, arrived(9, true, 1, "a")) != nil {
		t.Errorf("a new session keeps rows: %v", gone)
	}
}

// TestReceivedExpire: the id of a QoS 1 message lives until its connection's redeliveries are over: later an equal message
// may come on its id, be cut off, and be redelivered.
func TestReceivedExpire(t *testing.T) {
	r := newReceived(newFakeJournal(), NewID(), nil)
	for id, qos := range map[uint16]byte{1: 1, 2: 1, 3: 2} {
		x, _ := r.Open(1, arrived(id, false, qos, "ok"))
		r.Close(id, x, nil)
	}
	if r.Known(2, arrived(1, true, 1, "ok")) == nil {
		t.Error("forgotten before the redelivery")
	}
	r.Open(2, arrived(9, true, 1, "ok"))
	if r.Known(2, arrived(2, true, 1, "ok")) == nil {
		t.Error("forgotten at a redelivery")
	}
	r.byID[2].gen = 1
	_, rows := r.Open(2, arrived(8, false, 1, "ok")) // something new
	if r.Known(2, arrived(2, true, 1, "ok")) != nil || len(rows) != 2 || rows[0].Key != "in.2" || rows[0].Value != nil {
		t.Errorf("an old QoS 1 row stays: %v", rows)
	}
	if r.Known(2, arrived(1, true, 1, "ok")) == nil || r.Known(2, arrived(3, true, 2, "ok")) == nil {
		t.Error("a row that may be redelivered is forgotten")
	}
}

// TestStaleRowsGo: rows of a session that is gone do not stay in the journal for ever; what is no row is let be.
func TestStaleRowsGo(t *testing.T) {
	j, id, gone := newFakeJournal(), NewID(), NewID()
	_, rows := newReceived(j, id, nil).Open(1, arrived(7, false, 2, "a"))
	old := Row{Key: rowKey(8), Value: append(append(gone[:], 2), make([]byte, 16)...)}
	j.Save(append(rows, old, Row{Key: "in.x", Value: []byte{1}}, Row{Key: "session", Value: id[:]})...)
	state := map[string][]byte{}
	for k, v := range j.rows {
		state[k] = v
	}
	newReceived(j, id, state)
	if j.rows["in.7"] == nil || j.rows["in.8"] != nil || j.rows["in.x"] != nil || j.rows["session"] == nil {
		t.Errorf("rows %v", j.rows)
	}
}

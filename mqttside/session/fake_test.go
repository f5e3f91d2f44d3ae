package session

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// memory is a Journal that commits when it is told to.
type fakeJournal struct {
	mu      sync.Mutex // guards all below
	ticket  uint64
	held    bool
	failed  map[uint64]error
	bound   map[any][]byte
	unbound []any
	rows    map[string][]byte
	order   []any // as bound
	changed chan struct{}
}

func newFakeJournal() *fakeJournal {
	return &fakeJournal{failed: map[uint64]error{}, bound: map[any][]byte{}, rows: map[string][]byte{}, changed: make(chan struct{})}
}

func (m *fakeJournal) Bind(tag any, binding []byte) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bound[tag] = binding
	m.order = append(m.order, tag)
	m.ticket++
	return m.ticket
}

func (m *fakeJournal) Unbind(tag any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.bound, tag)
	m.unbound = append(m.unbound, tag)
}

func (m *fakeJournal) Save(rows ...Row) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		if m.rows[r.Key] = r.Value; r.Value == nil {
			delete(m.rows, r.Key)
		}
	}
	m.ticket++
	return m.ticket
}

func (m *fakeJournal) Wait(ctx context.Context, ticket uint64) error {
	for {
		m.mu.Lock()
		held, err, changed := m.held, m.failed[ticket], m.changed
		m.mu.Unlock()
		if !held {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hold keeps all from being committed, until it does not.
func (m *fakeJournal) hold(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = on
	close(m.changed)
	m.changed = make(chan struct{})
}

// fail lets the commit of a ticket fail.
func (m *fakeJournal) fail(ticket uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed[ticket] = err
}

// user is a Handler that notes what it is told.
type user struct {
	mu         sync.Mutex // guards all below
	got        []*Publish
	acked      []any
	refused    []byte // codes
	downgrades int
	received   func(*Publish) // called without the lock
}

func (u *user) Received(p *Publish) {
	u.mu.Lock()
	u.got = append(u.got, p)
	f := u.received
	u.mu.Unlock()
	if f != nil {
		f(p)
	}
}

func (u *user) Answered(a Answer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.acked = append(u.acked, a.Tag); a.Code >= refusedFrom {
		u.refused = append(u.refused, a.Code)
	}
}

func (u *user) Downgraded() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.downgrades++
}

func (u *user) Changed() {}

// far is the broker's end of a connection, played by a test.
type far struct {
	t    *testing.T
	conn net.Conn
}

// logIn logs in over a pipe; it starts nothing.
func logIn(t *testing.T, u *user, present bool) (*Conn, *far) {
	t.Helper()
	near, end := net.Pipe()
	f := &far{t, end}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if _, ok := f.reads().(*packets.ConnectPacket); !ok {
			t.Error("no CONNECT")
		}
		ack := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
		ack.SessionPresent = present
		f.says(ack)
	}()
	c, err := Login(t.Context(), near, Options{Level: Level3, ClientID: "c", Longest: 100, Handler: u})
	<-answered
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.leave(c) })
	return c, f
}

var errTest = errors.New("the test is over")

// leave closes a connection and waits for its goroutines.
func (f *far) leave(c *Conn) {
	c.Close(errTest)
	_ = f.conn.Close()
	c.Join()
}

// reads gives the next packet; nil: the connection is closed.
func (f *far) reads() packets.ControlPacket {
	p, err := packets.ReadPacket(f.conn)
	if err != nil {
		return nil
	}
	return p
}

// wants reads packets of kinds and ids, in order.
func (f *far) wants(ws ...want) {
	f.t.Helper()
	for _, w := range ws {
		p := f.reads()
		if p == nil {
			f.t.Fatalf("closed, want %v", w)
		}
		if got := (want{p.Details().MessageID, kindOf(p)}); got != w {
			f.t.Errorf("got %+v, want %+v (%v)", got, w, p)
		}
	}
	synctest.Wait() // what follows from it has happened
}

type want struct {
	id   uint16
	kind byte
}

func kindOf(p packets.ControlPacket) byte {
	switch p.(type) {
	case *packets.PublishPacket:
		return kindPublish
	case *packets.PubackPacket:
		return kindPuback
	case *packets.PubrecPacket:
		return kindPubrec
	case *packets.PubrelPacket:
		return kindPubrel
	case *packets.PubcompPacket:
		return kindPubcomp
	case *packets.PingreqPacket:
		return kindPingreq
	case *packets.DisconnectPacket:
		return kindDisconnect
	case *packets.SubscribePacket:
		return kindSubscribe
	}
	return 0
}

func (f *far) says(p packets.ControlPacket) {
	if err := p.Write(f.conn); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		f.t.Error(err)
	}
}

// acks says a PUBACK, PUBREC, PUBREL or PUBCOMP.
func (f *far) acks(kind byte, id uint16) {
	f.t.Helper()
	if _, err := f.conn.Write(codec3{}.append(nil, &packet{kind: kind, id: id})); err != nil {
		f.t.Error(err)
	}
}

func (f *far) publishes(p Publish) {
	f.t.Helper()
	if _, err := f.conn.Write(appendPublish(nil, &p, false)); err != nil {
		f.t.Error(err)
	}
}

// silence wants nothing for a while.
func (f *far) silence(d time.Duration) {
	f.t.Helper()
	if err := f.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		f.t.Fatal(err)
	}
	if p, err := packets.ReadPacket(f.conn); err == nil {
		f.t.Errorf("got %v", p)
	}
	if err := f.conn.SetReadDeadline(time.Time{}); err != nil {
		f.t.Fatal(err)
	}
	synctest.Wait()
}

func message(n int, qos byte) Message {
	return Message{Topic: "t", Payload: []byte{byte(n)}, QoS: qos, Tag: n}
}

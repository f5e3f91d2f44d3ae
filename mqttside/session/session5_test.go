package session

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// far5 is the broker's end of an MQTT 5 connection, played by a test.
type far5 struct {
	t    *testing.T
	conn net.Conn
	in   input
}

// logIn5 logs in over a pipe, and starts. props are those of the CONNACK.
func logIn5(t *testing.T, s *Session, u *user, props string) (*Conn, *far5) {
	t.Helper()
	c, f := connect5(t, u, props)
	s.Renew(NewID())
	s.Resume(c, StateGone, false, 0)
	c.Start()
	return c, f
}

// greet5 logs in over a pipe.
func connect5(t *testing.T, u *user, props string) (*Conn, *far5) {
	t.Helper()
	near, end := net.Pipe()
	f := &far5{t, end, input{bufio.NewReader(end), codec5{}, 0}}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		f.wants(want{0, kindConnect})
		f.says("\x20" + string(rune(3+len(props))) + "\x00\x00" + string(rune(len(props))) + props)
	}()
	c, err := Login(t.Context(), near, Options{Level: Level5, ClientID: "c", Longest: 100, Handler: u})
	<-answered
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

func (f *far5) says(bytes string) {
	if _, err := io.WriteString(f.conn, bytes); err != nil {
		f.t.Error(err)
	}
}

func (f *far5) wants(ws ...want) {
	for _, w := range ws {
		p, err := f.in.next()
		if got := (want{p.id + p.PacketID, p.kind}); err != nil || got != w {
			f.t.Errorf("got %+v, %v; want %+v", got, err, w)
		}
	}
}

// silent wants that nothing comes.
func (f *far5) silent() {
	if err := f.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		f.t.Error(err)
	}
	if p, err := f.in.next(); !timedOut(err) {
		f.t.Errorf("got %+v, %v; want nothing", p, err)
	}
	if err := f.conn.SetReadDeadline(time.Time{}); err != nil {
		f.t.Error(err)
	}
}

func (f *far5) leave(c *Conn) {
	c.Close(errTest)
	_ = f.conn.Close()
	c.Join()
}

// TestRefusedPublish: a code from 0x80 on ends the exchange at once, and frees the packet id; others are as by MQTT 3.1.1.
func TestRefusedPublish(t *testing.T) {
	tests := []struct {
		name   string
		qos    byte
		answer []string // of the broker, to PUBLISH and PUBREL
		codes  []byte   // by which it is refused
		ends   bool     // the connection
	}{
		{"PUBACK", 1, []string{"\x40\x02\x00\x01"}, nil, false},
		{"nobody subscribes", 1, []string{"\x40\x03\x00\x01\x10"}, nil, false},
		{"not authorized", 1, []string{"\x40\x04\x00\x01\x87\x00"}, []byte{0x87}, false},
		{"not authorized at QoS 2", 2, []string{"\x50\x03\x00\x01\x87"}, []byte{0x87}, false},
		{"quota, and why", 2, []string{"\x50\x0a\x00\x01\x97\x06\x1f\x00\x03why"}, []byte{0x97}, false},
		{"in two steps", 2, []string{"\x50\x02\x00\x01", "\x70\x02\x00\x01"}, nil, false},
		{"nobody subscribes, in two steps", 2, []string{"\x50\x03\x00\x01\x10", "\x70\x02\x00\x01"}, nil, false},
		{"PUBCOMP does not know it", 2, []string{"\x50\x02\x00\x01", "\x70\x03\x00\x01\x92"}, nil, false},
		{"the packet id is in use", 2, []string{"\x50\x03\x00\x01\x91"}, nil, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, u := New(newFakeJournal()), &user{}
				c, f := logIn5(t, s, u, "")
				s.Send(c, message(7, tc.qos))
				f.wants(want{1, kindPublish})
				for i, answer := range tc.answer {
					f.says(answer)
					if i < len(tc.answer)-1 {
						f.wants(want{1, kindPubrel})
					}
				}
				synctest.Wait()
				if tc.ends {
					if !errors.As(c.Reason(), new(Ended)) || len(u.acked) > 0 {
						t.Errorf("closed with %v, answered %v", c.Reason(), u.acked)
					}
				} else if !slices.Equal(u.acked, []any{7}) || !slices.Equal(u.refused, tc.codes) || !s.Empty() || c.Reason() != nil {
					t.Errorf("answered %v, refused by %x, closed with %v", u.acked, u.refused, c.Reason())
				}
				f.leave(c)
			})
		})
	}
}

// TestServerDisconnect: by MQTT 5 a broker says why it ends a connection.
func TestServerDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := logIn5(t, New(newFakeJournal()), &user{}, "")
		f.says("\xe0\x08\x8e\x06\x1f\x00\x03why")
		<-c.Closed()
		var e Ended
		if !errors.As(c.Reason(), &e) || e.Code != CodeTakenOver || !c.Lost() || !strings.Contains(e.Error(), "why") {
			t.Errorf("closed with %v, theirs %v", c.Reason(), c.Lost())
		}
		f.leave(c)
	})
}

// TestServerKeepAlive: the broker may want a sign of life more often (MQTT 5, 3.2.2.3.14).
func TestServerKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := logIn5(t, New(newFakeJournal()), &user{}, "\x13\x00\x02\x21\x00\x07")
		began := time.Now()
		f.wants(want{0, kindPingreq})
		if took := time.Since(began); took > 2*time.Second+checkEvery || c.Limits.Receive != 7 {
			t.Errorf("after %v, limits %+v", took, c.Limits)
		}
		f.leave(c)
	})
}

// TestFewerPlaces: a broker that takes fewer at once than were in flight gets no more than that, in order.
func TestFewerPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, u := New(newFakeJournal()), &user{}
		c, f := logIn5(t, s, u, "")
		for n := 1; n <= 5; n++ {
			s.Send(c, message(n, 2))
			f.wants(want{uint16(n), kindPublish})
		}
		f.says("\x50\x02\x00\x02")
		f.wants(want{2, kindPubrel})
		f.leave(c)

		c2, f2 := connect5(t, u, "")
		s.Resume(c2, StatePresent, false, 2)
		c2.Start()
		f2.wants(want{1, kindPublish}, want{2, kindPubrel})
		s.Send(c2, message(6, 2))
		f2.silent() // places are taken
		f2.says("\x70\x02\x00\x02")
		f2.wants(want{3, kindPublish})
		f2.silent()
		f2.says("\x50\x03\x00\x01\x97") // refused: a place is free
		f2.wants(want{4, kindPublish})
		f2.silent()
		f2.says("\x50\x03\x00\x03\x87\x50\x03\x00\x04\x87")
		f2.wants(want{5, kindPublish}, want{6, kindPublish})
		f2.leave(c2)
	})
}

// TestLongProperties: of a message that is cut nothing is taken for properties. It is too long, and not the broker's fault.
func TestLongProperties(t *testing.T) {
	pair := "\x26\x00\x01k\x00\x7f" + strings.Repeat("v", 127)
	props := strings.Repeat(pair, 3)
	body := "\x00\x01t\x00\x01" + string([]byte{byte(len(props)&0x7f | 0x80), byte(len(props) >> 7)}) + props + "x"
	packet := "\x32" + string([]byte{byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}) + body
	for longest, want := range map[int]int{0: 1, 100: 95} {
		in := input{bufio.NewReader(strings.NewReader(packet + "\xd0\x00")), codec5{}, longest}
		p, err := in.next()
		if err != nil || p.Topic != "t" || p.PacketID != 1 || len(p.Payload) != want {
			t.Errorf("%d: %q, %v", longest, p.Payload, err)
		}
		if p, err := in.next(); err != nil || p.kind != kindPingresp {
			t.Errorf("%d: behind it %+v, %v", longest, p, err)
		}
	}
}

// TestInUse: a packet id that the broker says is in use, is so for a message that went out under it in this session: the broker
// has that. For any other it is not, and the message takes another one on the next connection.
func TestInUse(t *testing.T) {
	for _, tc := range []struct {
		name  string
		qos   byte
		sent  bool // before, and resumed
		state State
		has   bool // the broker, the message
	}{
		{"resumed", 2, true, StatePresent, true},
		{"new", 2, false, StatePresent, false},
		{"resumed in a session that may be another", 2, true, StateUnknown, false},
		{"at QoS 1", 1, true, StatePresent, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, u := New(newFakeJournal()), &user{}
				c, f := logIn5(t, s, u, "")
				s.Send(c, message(7, tc.qos))
				f.wants(want{1, kindPublish})
				if tc.sent {
					f.leave(c)
					c, f = connect5(t, u, "")
					s.Resume(c, tc.state, false, 10)
					c.Start()
					f.wants(want{1, kindPublish})
				}
				f.says(map[byte]string{1: "\x40\x03\x00\x01\x91", 2: "\x50\x03\x00\x01\x91"}[tc.qos])
				if tc.has {
					f.wants(want{1, kindPubrel})
					f.says("\x70\x02\x00\x01")
					synctest.Wait()
					if !slices.Equal(u.acked, []any{7}) || len(u.refused) > 0 || c.Reason() != nil {
						t.Errorf("answered %v, refused by %x, closed with %v", u.acked, u.refused, c.Reason())
					}
					f.leave(c)
					return
				}
				<-c.Closed()
				if !errors.As(c.Reason(), new(Ended)) || len(u.acked) > 0 {
					t.Errorf("closed with %v, answered %v", c.Reason(), u.acked)
				}
				f.leave(c)
				for first := range 2 { // what is in use then is this message's own
					c, f = connect5(t, u, "")
					if maybe := s.Resume(c, StatePresent, false, 10); maybe != 1-first && tc.qos == 2 {
						t.Errorf("resumed: %d may be doubled", maybe)
					}
					c.Start()
					f.wants(want{2, kindPublish})
					f.leave(c)
				}
			})
		})
	}
}

// TestFirstDup: what was bound and never left is not said to be a repetition, when it leaves on another connection
// (MQTT-3.3.1-1).
func TestFirstDup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeJournal()
		s, u := New(m), &user{}
		c, f := logIn5(t, s, u, "")
		m.hold(true)
		s.Send(c, message(7, 2))
		synctest.Wait()
		f.leave(c)
		m.hold(false)
		for _, dup := range []bool{false, true} {
			c, f = connect5(t, u, "")
			s.Resume(c, StatePresent, false, 10)
			c.Start()
			if p, err := f.in.next(); err != nil || p.kind != kindPublish || p.Dup != dup {
				t.Errorf("got %+v, %v; want DUP %v", p, err, dup)
			}
			synctest.Wait()
			f.leave(c)
		}
	})
}

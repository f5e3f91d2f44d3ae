package session

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// begun is a session with a name, on its first connection.
func begun(t *testing.T, j *fakeJournal) (*Session, *Conn, *far, *user) {
	t.Helper()
	s, u := New(j), &user{}
	s.Renew(NewID())
	c, f := logIn(t, u, false)
	s.Resume(c, StateGone, false, 0)
	c.Start()
	return s, c, f, u
}

// begunWithThree is a session that has published 1 to 3 at QoS 2 and heard nothing of them.
func begunWithThree(t *testing.T, j *fakeJournal) (*Session, *Conn, *far) {
	t.Helper()
	s, c, f, _ := begun(t, j)
	for n := 1; n <= 3; n++ {
		s.Send(c, message(n, 2))
		f.wants(want{uint16(n), kindPublish})
	}
	return s, c, f
}

// again puts a session on a new connection.
func again(t *testing.T, s *Session, old *Conn, oldFar *far, state State) (*Conn, *far, *user, int) {
	t.Helper()
	oldFar.leave(old)
	s.End(old)
	u := &user{}
	c, f := logIn(t, u, state != StateGone)
	maybe := s.Resume(c, state, false, 0)
	c.Start()
	return c, f, u, maybe
}

// TestHandshakes: a message is bound before its PUBLISH leaves, released before its PUBREL does, and acknowledged by
// PUBACK or PUBCOMP.
func TestHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f, u := begun(t, j)
		j.hold(true)
		if !s.Send(c, message(1, 2)) {
			t.Fatal("not taken")
		}
		f.silence(1)
		j.hold(false)
		f.wants(want{1, kindPublish})
		j.hold(true)
		f.acks(kindPubrec, 1)
		f.silence(1)
		if b, err := parseBinding(j.bound[1]); err != nil || b.phase != released {
			t.Errorf("bound as %+v, %v", b, err)
		}
		j.hold(false)
		f.wants(want{1, kindPubrel})
		if inside, _ := s.InFlight(); inside != 1 || !s.Released() || len(u.acked) > 0 {
			t.Errorf("%d in flight, acknowledged %v", inside, u.acked)
		}
		f.acks(kindPubcomp, 1)
		synctest.Wait()
		if !slices.Equal(u.acked, []any{1}) || !s.Empty() || !c.Moved() {
			t.Errorf("acknowledged %v", u.acked)
		}
		s.Send(c, message(2, 1))
		f.wants(want{2, kindPublish})
		f.acks(kindPuback, 2)
		synctest.Wait()
		if !slices.Equal(u.acked, []any{1, 2}) || u.downgrades != 0 {
			t.Errorf("acknowledged %v", u.acked)
		}
		s.Send(c, message(3, 2)) // to a broker without QoS 2
		f.wants(want{3, kindPublish})
		f.acks(kindPuback, 3)
		synctest.Wait()
		if !s.Empty() || u.downgrades != 1 {
			t.Errorf("downgraded %d times", u.downgrades)
		}
		f.acks(kindPubrec, 9) // it has one that we do not know: it is to end it
		f.wants(want{9, kindPubrel})
		f.leave(c)
	})
}

// TestOutOfOrder: an answer that does not fit ends the connection.
func TestOutOfOrder(t *testing.T) {
	for name, kinds := range map[string][]byte{"PUBCOMP to PUBLISH": {kindPubcomp}, "PUBACK after PUBREC": {kindPubrec, kindPuback}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, f, u := begun(t, newFakeJournal())
				s.Send(c, message(1, 2))
				f.wants(want{1, kindPublish})
				for _, k := range kinds {
					f.acks(k, 1)
					if k == kindPubrec {
						f.wants(want{1, kindPubrel})
					}
				}
				<-c.Closed()
				if !errors.As(c.Reason(), new(Breach)) || c.Lost() || len(u.acked) > 0 || s.Empty() {
					t.Errorf("closed with %v, acknowledged %v", c.Reason(), u.acked)
				}
				f.leave(c)
			})
		})
	}
}

// TestResume: what is in flight goes out again under its packet ids, in order, before anything new; what is released is
// never published again.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, f, _ := begun(t, newFakeJournal())
		for n := 1; n <= 4; n++ {
			s.Send(c, message(n, byte(2-n%2)))
			f.wants(want{uint16(n), kindPublish})
		}
		f.acks(kindPubrec, 2)
		f.wants(want{2, kindPubrel})
		c2, f2, u, maybe := again(t, s, c, f, StatePresent)
		if maybe != 2 { // at QoS 1
			t.Errorf("%d may be doubled, want 2", maybe)
		}
		if s.Send(c, message(9, 2)) {
			t.Error("an old connection takes a message")
		}
		s.Send(c2, message(5, 2))
		f2.wants(want{1, kindPublish}, want{2, kindPubrel}, want{3, kindPublish}, want{4, kindPublish}, want{5, kindPublish})
		f2.acks(kindPubcomp, 2)
		f2.acks(kindPuback, 1)
		synctest.Wait()
		if !slices.Equal(u.acked, []any{2, 1}) {
			t.Errorf("acknowledged %v", u.acked)
		}
		f2.leave(c2)
	})
}

// TestGone: in a new session all is published anew, bound to it, and counted where the broker may have had it.
func TestGone(t *testing.T) {
	for name, tc := range map[string]struct {
		state State
		maybe int
		kinds []byte
	}{
		"gone":    {StateGone, 2, []byte{kindPublish, kindPublish}},
		"unknown": {StateUnknown, 1, []byte{kindPublish, kindPublish}},
		"present": {StatePresent, 0, []byte{kindPubrel, kindPublish}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newFakeJournal()
				s, c, f, _ := begun(t, j)
				s.Send(c, message(1, 2))
				s.Send(c, message(2, 2))
				f.wants(want{1, kindPublish}, want{2, kindPublish})
				f.acks(kindPubrec, 1)
				f.wants(want{1, kindPubrel})
				if tc.state == StateGone {
					s.Renew(NewID())
				}
				c2, f2, _, maybe := again(t, s, c, f, tc.state)
				if maybe != tc.maybe {
					t.Errorf("%d may be doubled, want %d", maybe, tc.maybe)
				}
				f2.wants(want{1, tc.kinds[0]}, want{2, tc.kinds[1]})
				for n := 1; n <= 2; n++ {
					if b, _ := parseBinding(j.bound[n]); b.session != s.id {
						t.Errorf("%d is bound to another session", n)
					}
				}
				f2.leave(c2)
			})
		})
	}
}

// TestNewProcess resumes what a journal remembers.
func TestNewProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f := begunWithThree(t, j)
		f.acks(kindPubrec, 2)
		f.wants(want{2, kindPubrel})
		f.leave(c)

		next := New(j)
		next.Load(s.id, nil)
		for n := 1; n <= 3; n++ {
			if known, maybe := next.Restore(Bound{message(n, 0), j.bound[n]}); !known || maybe {
				t.Errorf("%d: known %v, maybe %v", n, known, maybe)
			}
		}
		if known, _ := next.Restore(Bound{message(4, 0), []byte("damaged")}); known || !slices.Equal(j.unbound, []any{4}) {
			t.Errorf("known %v, given back %v", known, j.unbound)
		}
		old := binding{session: NewID(), id: 9, qos: 2, phase: released}
		if known, maybe := next.Restore(Bound{message(5, 0), old.bytes()}); !known || !maybe {
			t.Errorf("of an older session: known %v, maybe %v", known, maybe)
		}
		c2, f2 := logIn(t, &user{}, true)
		if maybe := next.Resume(c2, StatePresent, false, 0); maybe != 0 {
			t.Errorf("%d may be doubled", maybe)
		}
		c2.Start()
		f2.wants(want{1, kindPublish}, want{2, kindPubrel}, want{3, kindPublish}, want{9, kindPublish})
		f2.leave(c2)
	})
}

// TestLower resumes at QoS 1 where the broker has no QoS 2.
func TestLower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, f, _ := begun(t, newFakeJournal())
		s.Send(c, message(1, 2))
		f.wants(want{1, kindPublish})
		f.acks(kindPubrec, 1)
		f.wants(want{1, kindPubrel})
		f.leave(c)
		s.End(c)
		c2, f2 := logIn(t, &user{}, true)
		if maybe := s.Resume(c2, StatePresent, true, 0); maybe != 1 {
			t.Errorf("%d may be doubled, want 1", maybe)
		}
		c2.Start()
		if p := f2.reads().(*packets.PublishPacket); p.Qos != 1 || !p.Dup {
			t.Errorf("got %v", p)
		}
		f2.leave(c2)
	})
}

// TestCommitFails: what was not written goes back to the user, and all behind it; what was is resumed.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f, _ := begun(t, j)
		s.Send(c, message(1, 2))
		f.wants(want{1, kindPublish})
		j.hold(true)
		for n := 2; n <= 4; n++ {
			s.Send(c, message(n, 2))
		}
		j.fail(3, errors.New("disk full")) // the binding of the third
		j.hold(false)
		f.wants(want{2, kindPublish})
		<-c.Closed()
		synctest.Wait()
		if !errors.Is(c.Reason(), ErrJournal) || !s.GaveBack() || s.GaveBack() || s.Send(c, message(5, 2)) {
			t.Errorf("closed with %v", c.Reason())
		}
		if !slices.Equal(j.unbound, []any{4}) { // the journal itself has undone the third
			t.Errorf("given back: %v", j.unbound)
		}
		c2, f2, _, _ := again(t, s, c, f, StatePresent)
		f2.wants(want{1, kindPublish}, want{2, kindPublish})
		f2.silence(1)
		f2.leave(c2)
	})
}

// TestCutBeforeCommit: a binding whose commit fails after its connection has ended is not resumed.
func TestCutBeforeCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f, _ := begun(t, j)
		j.hold(true)
		s.Send(c, message(1, 2))
		s.Send(c, message(2, 2))
		f.leave(c)
		j.fail(1, errors.New("disk full"))
		j.hold(false)
		c2, f2, _, _ := again(t, s, c, f, StatePresent)
		f2.silence(1)
		if !s.Empty() || !slices.Equal(j.unbound, []any{2}) || !s.GaveBack() {
			t.Errorf("given back: %v", j.unbound)
		}
		f2.leave(c2)
	})
}

// TestNotYetCommitted: what was bound on a connection that has ended leaves over the next one once it is committed.
func TestNotYetCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f, _ := begun(t, j)
		j.hold(true)
		s.Send(c, message(1, 2))
		c2, f2, _, _ := again(t, s, c, f, StatePresent)
		f2.silence(1)
		j.hold(false)
		f2.wants(want{1, kindPublish})
		f2.leave(c2)
	})
}

// TestTakenOver: once the session is on a new connection an old one takes nothing, and what it says does not count.
func TestTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, f, u := begun(t, newFakeJournal())
		s.Send(c, message(1, 1))
		f.wants(want{1, kindPublish})
		c2, f2 := logIn(t, &user{}, true)
		s.Resume(c2, StatePresent, false, 0)
		c2.Start()
		f2.wants(want{1, kindPublish})
		f.acks(kindPuback, 1)
		synctest.Wait()
		if s.Send(c, message(2, 1)) || len(u.acked) > 0 || s.Empty() {
			t.Errorf("the old connection counts: acknowledged %v", u.acked)
		}
		f.leave(c)
		f2.leave(c2)
	})
}

package session

import (
	"testing"
	"testing/synctest"
)

// TestRepeatable: what may come twice has its place beside the others at QoS 1, and its release is not worth a commit.
func TestRepeatable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f, _ := begun(t, j)
		for n := byte(1); n <= 2; n++ {
			m := message(int(n), n)
			m.Repeatable = true
			s.Send(c, m)
			f.wants(want{uint16(n), kindPublish})
		}
		if inside, beside := s.InFlight(); inside != 1 || beside != 1 {
			t.Errorf("%d and %d in flight", inside, beside)
		}
		f.acks(kindPubrec, 2)
		f.wants(want{2, kindPubrel})
		if b, _ := parseBinding(j.bound[2]); b.phase != published {
			t.Error("the release was bound")
		}
		f.leave(c)
	})
}

// TestReleasedIDs: the PUBCOMP of a message that the journal has waits until its packet id is forgotten there.
func TestReleasedIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f, u := begun(t, j)
		f.publishes(Publish{Topic: "t", QoS: 2, PacketID: 7})
		synctest.Wait()
		x, rows := s.Received.Open(1, u.got[0])
		j.Save(rows...)
		s.Received.Close(7, x, nil)
		c.Ack(u.got[0])
		f.wants(want{7, kindPubrec})
		j.hold(true)
		f.acks(kindPubrel, 7)
		f.silence(1)
		j.hold(false)
		f.wants(want{7, kindPubcomp})
		if len(j.rows) != 0 {
			t.Errorf("rows %v", j.rows)
		}
		f.leave(c)
	})
}

// TestPacketIDs go round, and pass over those that are taken.
func TestPacketIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, f, _ := begun(t, newFakeJournal())
		s.last = firstRequest - 2
		for n, id := range []uint16{firstRequest - 1, 1, 2} {
			s.Send(c, message(n, 2))
			f.wants(want{id, kindPublish})
		}
		s.last = firstRequest - 2
		s.Send(c, message(3, 2))
		f.wants(want{3, kindPublish})
		for id := range uint16(firstRequest) {
			s.byID[id] = &delivery{}
		}
		if s.Send(c, message(4, 2)) {
			t.Error("a packet id was found")
		}
		clear(s.byID)
		f.leave(c)
	})
}

// TestOldest is what may be to blame for the end of a connection.
func TestOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, f, _ := begun(t, newFakeJournal())
		isOne := func(m Message) bool { return m.Tag == 1 }
		if _, ok := s.Oldest(); ok {
			t.Error("there is none")
		}
		s.Send(c, message(1, 2))
		s.Send(c, message(2, 2))
		f.wants(want{1, kindPublish}, want{2, kindPublish})
		if tag, ok := s.Oldest(); !ok || tag != 1 || len(s.Withdraw(isOne)) > 0 {
			t.Errorf("the oldest is %v; it stays while there is a connection", tag)
		}
		f.leave(c)
		s.End(c)
		if len(s.Withdraw(isOne)) != 1 || len(s.Withdraw(isOne)) != 0 {
			t.Error("not removed")
		}
		if tag, _ := s.Oldest(); tag != 2 {
			t.Errorf("the oldest is %v", tag)
		}
	})
}

// TestWithdraw: what was not acknowledged in any way can be taken out between connections, and is not resumed.
func TestWithdraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		s, c, f := begunWithThree(t, j)
		f.acks(kindPubrec, 1)
		f.wants(want{1, kindPubrel})
		notThree := func(m Message) bool { return m.Tag != 3 }
		if out := s.Withdraw(notThree); len(out) != 0 {
			t.Errorf("withdrawn on a connection: %v", out)
		}
		s.End(c)
		if out := s.Withdraw(notThree); len(out) != 1 || out[0].Tag != 2 {
			t.Errorf("withdrawn %v", out)
		}
		c2, f2, _, _ := again(t, s, c, f, StatePresent)
		f2.wants(want{1, kindPubrel}, want{3, kindPublish})
		f2.leave(c2)
	})
}

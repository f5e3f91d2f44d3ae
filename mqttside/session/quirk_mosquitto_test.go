package session

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAckOrder(t *testing.T) {
	ids := func(ps []packet) (out string) {
		for _, p := range ps {
			out += string('0' + rune(p.id))
		}
		return out
	}
	now := time.Now()
	var line ackOrder
	await := func(ids ...uint16) {
		for _, id := range ids {
			line.await(id, now)
		}
	}
	ends := func(id uint16, want string) {
		t.Helper()
		if got := ids(line.end(kindPuback, id, now)); got != want {
			t.Errorf("%d lets out %q, want %q", id, got, want)
		}
	}
	skips := func(after time.Duration, want string) {
		t.Helper()
		if got := ids(line.skipStalled(now.Add(after))); got != want {
			t.Errorf("after %v %q is let out, want %q", after, got, want)
		}
	}
	await(0, 1, 2, 2, 3, 4, 5)
	ends(2, "")
	ends(1, "")
	ends(9, "9") // never seen
	ends(0, "012")
	skips(holdLimit+1, "") // nobody waits
	ends(4, "")
	await(6)
	ends(6, "")
	skips(holdLimit, "")
	skips(holdLimit+1, "4") // 3 is given up; 5 is first now
	skips(holdLimit+1, "")
	ends(3, "3")
	ends(5, "56")
	if line.holds() || len(line.line) != 0 {
		t.Errorf("%d are left", len(line.line))
	}
}

// TestEndsInOrder: a PUBACK waits for the handshakes that began before it, and for one that the broker does not end only
// so long.
func TestEndsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &user{}
		s := New(newFakeJournal())
		s.Renew(NewID())
		c, f := logIn(t, u, false)
		s.Resume(c, StateGone, false, 0)
		u.received = c.Ack
		c.Start()
		f.publishes(Publish{Topic: "t", QoS: 2, PacketID: 1})
		f.publishes(Publish{Topic: "t", QoS: 2, PacketID: 2})
		f.publishes(Publish{Topic: "t", QoS: 1, PacketID: 3})
		f.wants(want{1, kindPubrec}, want{2, kindPubrec})
		f.acks(kindPubrel, 1)
		f.wants(want{1, kindPubcomp})
		if synctest.Wait(); !c.Holds() {
			t.Error("the PUBACK does not wait")
		}
		f.silence(holdLimit - time.Second)
		f.wants(want{0, kindPingreq}, want{3, kindPuback})
		if c.Holds() {
			t.Error("something waits")
		}
		f.leave(c)
	})
}

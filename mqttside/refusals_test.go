package mqttside

import (
	"errors"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/internal/wait"
	"chatrelay/mqttside/session"
)

// refusalsTest is refusals at work, and the messages of a lane in order of sending.
type refusalsTest struct {
	*testing.T
	m   *bridgetest.Memory
	r   *refusals
	now time.Time
}

func newRefusalsTest(t *testing.T) *refusalsTest {
	m := bridgetest.NewMemory(t)
	return &refusalsTest{t, m, &refusals{journal: m.SideJournal(), changed: &wait.Broadcast{}}, time.Now()}
}

// add makes a message; its place is that of the call.
func (t *refusalsTest) add(to string, place uint64) session.Answer {
	ref := t.m.Add(bridge.KindInbox, "1001", to, body("x", int(place)))
	return session.Answer{Message: session.Message{Tag: handle{ref, lane{"1001", to}}}, Place: place}
}

// refused5 is an answer with a code, when newest was the last one sent.
func refused5(a session.Answer, code byte, newest uint64) session.Answer {
	a.Code, a.Newest = code, newest
	return a
}

func (t *refusalsTest) waits(what string, a session.Answer, inFlight int, want time.Duration) {
	t.Helper()
	err := t.r.gate("h", handleOf(a.Message), func() int { return inFlight }, t.now)
	got := time.Duration(0)
	if soon, ok := errors.AsType[bridge.RetryLater](err); ok {
		got = soon.RetryIn()
	}
	if got != want || (err != nil) != (want > 0) {
		t.Errorf("%s: %v (%v), want %v", what, got, err, want)
	}
}

func (t *refusalsTest) committed() {
	t.m.Until(t.T, "committed", func(s bridgetest.Sum) bool { return s.Queued == 0 })
}

func (t *refusalsTest) reordered(want int) {
	t.Helper()
	t.committed()
	if got := t.m.Counted(bridge.Reordered); got != want {
		t.Errorf("reordered %d, want %d", got, want)
	}
}

// TestRefusedForNow: it goes first in its lane, alone, when its time has come; what overtook it is counted, what had gone
// before, or was refused as well, is not.
func TestRefusedForNow(test *testing.T) {
	t := newRefusalsTest(test)
	before, a, b, c, other := t.add("2001", 1), t.add("2001", 2), t.add("2001", 3), t.add("2001", 4), t.add("2002", 5)
	t.waits("nothing was refused", a, 3, 0)
	t.r.take("h", refused5(a, session.CodeQuota, 5), 0, t.now)
	t.r.take("h", refused5(b, session.CodeQuota, 5), 0, t.now)
	t.r.settled(before)
	t.reordered(0)
	t.r.settled(c)
	t.reordered(1)
	if t.r.overtakes(handleOf(other.Message)) || !t.r.overtakes(handleOf(b.Message)) || t.r.overtakes(handleOf(b.Message)) {
		t.Error("not told once, and in its lane alone, that something went back")
	}
	t.waits("refused first", a, 0, laterFirst)
	t.waits("refused behind it: the journal has it behind", b, 0, 0)
	t.waits("another lane, nothing in flight", other, 0, 0)
	t.waits("another lane, one in flight", other, 1, singleWait)
	if _, ok := errors.AsType[bridge.Untried](t.r.gate("h", handleOf(other.Message), func() int { return 1 }, t.now)); !ok {
		t.Error("a message that was not tried is written down")
	}
	t.now = t.now.Add(laterFirst)
	t.waits("its time has come", a, 0, 0)
	a.Place = 6
	t.r.take("h", refused5(a, session.CodeUnspecified, 6), 0, t.now)
	t.waits("refused again", a, 0, 2*laterFirst)
	a.Place = 7
	t.r.settled(a)
	b.Place = 8
	t.r.settled(b)
	t.reordered(1)
	t.now = t.now.Add(singleFor)
	t.waits("after an hour", b, 1, 0)
}

// TestRefusedIsGone: a message that was refused for now and then dropped holds up nothing, and the next one that is refused
// waits its time.
func TestRefusedIsGone(test *testing.T) {
	t := newRefusalsTest(test)
	a, b := t.add("2001", 1), t.add("2001", 2)
	t.r.take("h", refused5(a, session.CodeQuota, 1), 0, t.now)
	t.waits("a is gone", b, 0, 0)
	t.r.take("h", refused5(b, session.CodeQuota, 2), 0, t.now)
	t.waits("b is refused", b, 0, laterFirst)
	t.r.settled(t.add("2001", 3)) // b is gone, too
	t.reordered(0)
}

// TestDenied: nothing more of a lane leaves until the probe has decided.
func TestDenied(test *testing.T) {
	t := newRefusalsTest(test)
	a, b, c := t.add("2001", 1), t.add("2001", 2), t.add("2001", 3)
	t.r.take("h", refused5(a, session.CodeNotAuthorized, 2), 0, t.now)
	asked := t.r.asks()
	t.r.take("h", refused5(b, session.CodeNotAuthorized, 3), 0, t.now)
	if asked != 1 || t.r.asks() != 2 || t.r.overtakes(handleOf(c.Message)) {
		t.Errorf("asks about %d, then %d", asked, t.r.asks())
	}
	t.waits("behind both", c, 0, singleWait)
	t.waits("another lane, one in flight: none of its business", t.add("2002", 4), 1, 0)
	t.r.decide(asked, true, "the line")
	t.waits("behind the second", c, 0, singleWait)
	t.r.release()
	t.waits("the second has gone back", b, 0, 0)
	t.committed()
	if _, err := t.m.Delivery(handleOf(a.Message).ref); err == nil {
		t.Error("the first is not dead")
	}
	if _, err := t.m.Delivery(handleOf(b.Message).ref); err != nil || !t.r.overtakes(handleOf(c.Message)) {
		t.Errorf("the second: %v", err)
	}
	t.reordered(0)
	t.r.settled(c) // it was under way, and may by now
	t.reordered(1)
}

// TestRefusalCodes is what each code means for good.
func TestRefusalCodes(t *testing.T) {
	for code, want := range map[byte]string{
		session.CodePacketTooLarge: "too_large", session.CodeBadTopic: "bad_to", session.CodeBadPayload: "bad_payload",
		session.CodeUnspecified: "", session.CodeOwnReasons: "", session.CodeQuota: "", session.CodeNotAuthorized: "",
	} {
		if why := refusalOf(session.Answer{Code: code, Reason: "why"}, 0); (why == nil) != (want == "") || why != nil && why.Reason != want {
			t.Errorf("%#x: %v, want %q", code, why, want)
		}
	}
	long := session.Answer{Code: session.CodePacketTooLarge, Message: session.Message{Payload: make([]byte, 500)}}
	if why := refusalOf(long, 400); why.Text != "the MQTT broker takes no message longer than 400 bytes" {
		t.Error(why)
	}
	if why := refusalOf(long, 1000); why.Text != "the MQTT broker takes no message of 500 bytes" { // another limit than that of packets
		t.Error(why)
	}
}

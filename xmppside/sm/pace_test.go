package sm

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestSlowServerIsGivenLess fills the window again and again against a server that takes its time: what is said besides must
// not wait behind it for longer than it is waited for.
func TestSlowServerIsGivenLess(t *testing.T) {
	clock := newTestClock()
	n := newNotes(true)
	st := New(Config{Clock: clock, Window: 100, DeadAfter: time.Hour, Journal: n, Acked: n.Acked}, State{})
	_, f := mustConnect(t, st, (*fake).fresh)
	sent := 0
	for i, step := range []struct {
		took time.Duration
		room int
	}{
		{3 * time.Second, 100}, {3 * time.Second, 50}, {2 * time.Second, 25}, {2 * time.Second, leastPace}, {0, leastPace},
		{0, 2 * leastPace}, {1500 * time.Millisecond, 4 * leastPace}, {0, 4 * leastPace}, {0, 100}, {0, 100},
	} {
		got := 0
		for ; got <= 100; got++ {
			if _, err := st.trySend(outbound(fmt.Sprint(sent)), fmt.Sprint(sent)); errors.Is(err, errFull) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			sent++
		}
		if got != step.room {
			t.Fatalf("round %d: %d were taken, want %d", i, got, step.room)
		}
		if w := st.Window(); w != step.room {
			t.Errorf("round %d: a window of %d is shown, and %d were taken", i, w, step.room)
		}
		f.until(fmt.Sprintf("id='%d'", sent-1))
		clock.advance(step.took)
		f.writef("<a xmlns='urn:xmpp:sm:3' h='%d'/>", sent)
		n.wait(t, "acknowledged", func(b *notes) bool { return len(b.acked) == sent })
	}
}

// TestTimeAwayIsNotTheServers resumes after a long time: the window stays.
func TestTimeAwayIsNotTheServers(t *testing.T) {
	clock := newTestClock()
	n := newNotes(true)
	st := New(Config{Clock: clock, Window: 40, DeadAfter: time.Hour, Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	for i := range 40 {
		c.send(fmt.Sprint(i))
	}
	f.until("id='39'")
	c.l.Close()
	c.end()
	clock.advance(time.Minute)
	c, f = mustResume(t, st, "st1", 0)
	f.until("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='0'/>")
	f.until("id='39'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='40'/>")
	n.wait(t, "acknowledged", func(b *notes) bool { return len(b.acked) == 40 })
	for i := range 40 {
		c.send(fmt.Sprint("b", i)) // waits for ever in a smaller one
	}
}

// trySend is Send without waiting: ErrDown or errFull instead.
func (s *Stream) trySend(raw []byte, tag any) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offer(raw, tag)
}

package sm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// withheld is a client whose journal commits only when told to.
func withheld(t *testing.T, cfg Config) (*Stream, *notes, *client, *fake) {
	t.Helper()
	n := newNotes(true)
	cfg.Journal, cfg.Acked = n, n.Acked
	st := New(cfg, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	n.mu.Lock()
	n.auto = false
	n.mu.Unlock()
	return st, n, c, f
}

func TestNothingLeavesBeforeTheCommit(t *testing.T) {
	_, n, c, f := withheld(t, Config{})
	c.send("a")
	f.write("<r xmlns='urn:xmpp:sm:3'/>")
	f.expect("<a ") // what is not bound does not wait
	n.commit()
	f.expect("id='a'")
}

func TestUntaggedKeepTheirPlace(t *testing.T) {
	_, n, c, f := withheld(t, Config{})
	c.send("a")
	if _, err := c.st.trySend(outbound("plain"), nil); err != nil {
		t.Fatal(err)
	}
	n.commit()
	f.expect("id='a'")
	f.expect("id='plain'")
}

func TestFailedCommit(t *testing.T) {
	st, n, c, f := withheld(t, Config{})
	c.send("kept")
	n.commit()
	f.expect("id='kept'")
	f.expect("<r ")
	c.send("undone")
	failing := n.waiting(t, "undone")
	c.send("behind")
	if _, err := st.trySend(outbound("plain"), nil); err != nil {
		t.Fatal(err)
	}
	n.commit(failing)
	if e := c.end(); !errors.Is(e.Err, ErrJournal) || !e.Resumable {
		t.Fatalf("end %+v", e)
	}
	lost := st.Lost() // the undone one is the journal's again
	if !slices.Equal(tags(lost), []string{"behind"}) || lost[0].Maybe {
		t.Errorf("lost %+v, want what would overtake", lost)
	}
	n.commitAll()
	c, f = mustConnect(t, st, func(f *fake) { f.resume(1) })
	n.waitAcked(t, "kept")
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	f.expect("id='plain'") // may be an answer to what will not come again
	if got := c.send("next"); got != 3 {
		t.Errorf("number %d", got)
	}
	f.until("id='next'")
}

// An answer is for the server to have before the stanza that it answers is done, whatever fails in between.
func TestAnswer(t *testing.T) {
	st, n, c, f := withheld(t, Config{})
	f.write(inbound(1) + inbound(2))
	m1, m2 := c.take(), c.take()
	m2.Saved()
	c.send("undone")
	failing := n.waiting(t, "undone")
	if err := m1.Answer(outbound("no room")); err != nil {
		t.Fatal(err)
	}
	n.commit(failing)
	if e := c.end(); !errors.Is(e.Err, ErrJournal) {
		t.Fatalf("end %+v", e)
	}
	n.commitAll()
	_, f = mustResume(t, st, "h='0'", 0)
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='0'/>")
	f.expect("id='no room'")
	f.write("<r xmlns='urn:xmpp:sm:3'/>")
	f.until("h='0'")
	f.write("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	f.until("h='2'")
}

// What is to come again is done only when it is dealt with again.
func TestAnswerThenRedo(t *testing.T) {
	st := New(Config{}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write(inbound(1) + inbound(2))
	m1, m2 := c.take(), c.take()
	if err := m2.Answer(outbound("no room")); err != nil {
		t.Fatal(err)
	}
	f.expect("id='no room'")
	m1.Redo()
	c.end()
	c, f = mustConnect(t, st, func(f *fake) { f.resume(1) })
	f.expect("<r ")
	f.write(inbound(1) + inbound(2))
	c.take().Saved()
	m2 = c.take()
	f.until("h='1'")
	if m2.Answer(outbound("still none")) != nil || st.Session().In != 1 {
		t.Errorf("h is %d", st.Session().In)
	}
}

func TestCommitThatOnlyPartlyFailed(t *testing.T) {
	st, n, c, _ := withheld(t, Config{})
	c.send("bound")
	c.send("undone")
	n.mu.Lock()
	failing := n.ticket
	n.mu.Unlock()
	n.commit(failing)
	c.end()
	n.commitAll()
	_, f := mustConnect(t, st, func(f *fake) { f.resume(0) })
	f.expect("<r ")
	f.write("<a xmlns='urn:xmpp:sm:3' h='0'/>")
	f.expect("id='bound'")
	if lost := st.Lost(); len(lost) != 0 {
		t.Errorf("lost %v", tags(lost))
	}
}

// A commit may fail while nobody looks, and the next one work.
func TestCommitThatFailedBeforeTheNewest(t *testing.T) {
	st, n, c, f := withheld(t, Config{})
	c.send("first")
	looked := n.waiting(t, "first")
	c.send("undone")
	c.send("behind")
	n.mu.Lock()
	n.failed[n.ticket-1] = true
	n.done = looked // "first" alone
	n.stir()
	n.mu.Unlock()
	n.waiting(t, "behind")
	n.commit()
	if e := c.end(); !errors.Is(e.Err, ErrJournal) {
		t.Fatalf("end %+v", e)
	}
	for range len(f.got) {
		if s := <-f.got; strings.Contains(s, "id='undone'") || strings.Contains(s, "id='behind'") {
			t.Errorf("written: %s", s)
		}
	}
	if lost := tags(st.Lost()); !slices.Equal(lost, []string{"behind"}) {
		t.Errorf("lost %v, want what would overtake", lost)
	}
}

// A binding that only replaces an older one leaves that in the journal when its commit fails.
func TestFailedCommitOfAShiftedStanza(t *testing.T) {
	n := newNotes(false)
	st := New(Config{Journal: n, Acked: n.Acked}, State{Session: Session{ID: "st1", JID: "receiver@chat.test/relay"},
		Queue: []Stanza{{N: 5, Raw: outbound("a"), Tag: "a"}}})
	c, f := mustConnect(t, st, func(f *fake) { f.resume(3) })
	f.expect("<r ")
	n.commit(n.waiting(t, "the new number"))
	if e := c.end(); !errors.Is(e.Err, ErrJournal) {
		t.Fatalf("end %+v", e)
	}
	if lost := tags(st.Lost()); !slices.Equal(lost, []string{"a"}) {
		t.Errorf("lost %v, want what the journal still holds", lost)
	}
}

func TestFailedSaveIsTriedAgain(t *testing.T) {
	st, n, c, f := withheld(t, Config{})
	f.write(inbound(1))
	c.take().Done()
	n.wait(t, "h saved", func(b *notes) bool { return b.saves[len(b.saves)-1].In == 1 })
	n.mu.Lock()
	failing := n.ticket
	n.mu.Unlock()
	n.commit(failing)
	if e := c.end(); !errors.Is(e.Err, ErrJournal) {
		t.Fatalf("end %+v", e)
	}
	n.commitAll()
	c, f = mustResume(t, st, "h='0'", 0)
	f.write(inbound(1) + inbound(2))
	c.take().Done()
	f.until("h='2'")
}

func TestJournalTooSlow(t *testing.T) {
	clock := newTestClock()
	_, _, c, _ := withheld(t, Config{Clock: clock, DeadAfter: time.Hour})
	c.send("a")
	var e End
	done := make(chan struct{})
	go func() { e = c.end(); close(done) }()
	clock.drive(t, time.Second, done)
	if !errors.Is(e.Err, ErrJournal) || !e.Resumable {
		t.Errorf("end %+v", e)
	}
}

// A process that slept blames neither the journal nor the server, and what is wrong afterwards it notices as soon as ever.
func TestSleep(t *testing.T) {
	clock := newTestClock()
	st, n, c, f := withheld(t, Config{Clock: clock})
	c.send("a")
	n.waiting(t, "a")
	c.listening()
	<-clock.set // it watches
	clock.advance(time.Hour)
	select {
	case <-clock.set: // it has looked
	case <-c.l.Context().Done():
		t.Fatalf("the connection was given up: %v", c.end().Err)
	}
	n.commitAll()
	n.commit()
	f.expect("id='a'")
	if st.Unacked() != 1 {
		t.Errorf("%d are unacknowledged", st.Unacked())
	}
	var e End
	done, woke := make(chan struct{}), clock.Now()
	go func() { e = c.end(); close(done) }()
	clock.advance(time.Second)
	clock.drive(t, time.Second, done)
	if passed := clock.Now().Sub(woke); e.Err != ErrSilent || passed > 40*time.Second {
		t.Errorf("end %+v after %v", e, passed)
	}
}

func TestAckOnlyWhatIsSaved(t *testing.T) {
	_, n, c, f := withheld(t, Config{})
	f.write(inbound(1) + inbound(2))
	m1, m2 := c.take(), c.take()
	m1.Done() // nothing durable says so yet
	f.write("<r xmlns='urn:xmpp:sm:3'/>")
	f.expect("<a ", "h='0'")
	m2.Saved() // its record carries h=2
	f.expect("<a ", "h='2'")
	n.mu.Lock()
	saves := len(n.saves)
	n.mu.Unlock()
	if saves != 1 {
		t.Errorf("%d saves, want only that of the login", saves)
	}
	f.write(inbound(3))
	c.take().Done() // the last of all, without a record: it is saved on its own
	n.wait(t, "h saved", func(b *notes) bool { return b.saves[len(b.saves)-1].In == 3 })
	f.write("<r xmlns='urn:xmpp:sm:3'/>")
	f.expect("<a ", "h='2'")
	n.commit()
	f.expect("<a ", "h='3'")
}

func TestSessionIsSavedBeforeBindings(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	n.wait(t, "login saved", func(b *notes) bool {
		return len(b.saves) == 1 && b.saves[0].ID == "st1" && b.saves[0].In == 0
	})
	c.send("a")
	f.until("id='a'")
}

func TestForgottenSessionIsRemoved(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write("<a xmlns='urn:xmpp:sm:3' h='5'/>")
	c.end()
	n.wait(t, "session removed", func(b *notes) bool { return b.saves[len(b.saves)-1] == Session{} })
}

func TestLogout(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	f.write(inbound(1))
	m := c.take()
	c.send("a")
	out := make(chan error, 1)
	go func() { out <- c.l.Logout(t.Context()) }()
	f.until("unavailable")
	f.write(inbound(2)) // on its way when we left
	c.take().Saved()
	f.write("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	m.Saved()
	rest := f.until("</stream:stream>")
	last := rest[len(rest)-1]
	if len(rest) > 1 {
		last = rest[len(rest)-2] + last
	}
	if !strings.Contains(strings.Join(rest, "")+last, "h='2'") {
		t.Errorf("left with %q", rest)
	}
	f.write("<a xmlns='urn:xmpp:sm:3' h='2'/></stream:stream>") // how Prosody ends a stream
	if err := <-out; err != nil {
		t.Fatalf("Logout: %v", err)
	}
	if e := c.end(); e.Err != nil || e.Resumable {
		t.Errorf("end %+v", e)
	}
	n.waitAcked(t, "a")
	if _, err := st.Send(t.Context(), outbound("b"), "b"); !errors.Is(err, ErrDown) {
		t.Errorf("Send after Logout: %v", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if got := n.saves[len(n.saves)-1]; got != (Session{}) {
		t.Errorf("saved %+v", got)
	}
	if slices.ContainsFunc(n.saves[:len(n.saves)-1], func(s Session) bool { return s.ID == "" }) {
		t.Errorf("forgotten too early: %+v", n.saves)
	}
}

func TestLogoutThatCannotFinishKeepsTheStream(t *testing.T) {
	n := newNotes(true)
	st := New(Config{Journal: n, Acked: n.Acked}, State{})
	c, f := mustConnect(t, st, (*fake).fresh)
	c.send("a")
	f.until("id='a'")
	ctx, cancel := context.WithCancel(t.Context())
	out := make(chan error, 1)
	go func() { out <- c.l.Logout(ctx) }()
	f.until("unavailable")
	cancel() // the acknowledgement never comes
	if err := <-out; !errors.Is(err, context.Canceled) {
		t.Fatalf("Logout: %v", err)
	}
	if e := c.end(); !e.Resumable {
		t.Errorf("end %+v", e)
	}
	for {
		s, ok := <-f.got
		if !ok {
			break
		}
		if strings.Contains(s, "</stream") {
			t.Errorf("said %s", s)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if got := n.saves[len(n.saves)-1]; got.ID != "st1" {
		t.Errorf("saved %+v", got)
	}
}

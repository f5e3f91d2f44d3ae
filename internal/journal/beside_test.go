package journal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/test/sqlfault"
)

// heldCheckpoint is a journal whose checkpoint stands still before its COMMIT.
type heldCheckpoint struct {
	*testJournal
	f           *sqlfault.Faults
	c           *clock
	ends, binds bridge.Ref // deliveries that are in it
	release     func(error)
}

// holdCheckpoint begins one, which goes on with the error that release is called with.
func holdCheckpoint(t *testing.T, maxBytes int64) *heldCheckpoint {
	t.Helper()
	f, name := sqlfault.New(t)
	h := &heldCheckpoint{f: f, c: newClock()}
	o := options(t.TempDir())
	o.driver, o.Sync, o.Clock, o.MaxBytes = name, "os", h.c.Now, maxBytes // no other checkpoint by time
	h.testJournal = openTest(t, o)
	h.live(1)
	var known [2]bridge.Ref // to the tables
	for i, to := range []string{"1005", "1006"} {
		h.want(direct(bridge.XMPP, "1001", to, "is known"), bridge.OutcomeTaken)
		known[i] = h.next(bridge.MQTT).Ref
		h.bind(known[i], "before")
	}
	h.follow()
	h.settle(known[0])
	h.Unbind(known[1])
	h.want(direct(bridge.XMPP, "1001", "1002", "ends meanwhile"), bridge.OutcomeTaken)
	h.ends = h.next(bridge.MQTT).Ref
	h.want(direct(bridge.XMPP, "1001", "1003", "is bound meanwhile"), bridge.OutcomeTaken)
	h.binds = h.next(bridge.MQTT).Ref
	reached, end, first := make(chan struct{}), make(chan error, 1), true
	h.release = func(err error) { end <- err }
	f.SetFor(sqlite.FileName, func(query string, ran bool) error { // one statement at a time is asked
		if query != "COMMIT" || ran || !first {
			return nil
		}
		first = false
		close(reached)
		return <-end
	})
	h.c.add(6 * time.Second)
	h.want(direct(bridge.XMPP, "1001", "1004", "begins it"), bridge.OutcomeTaken)
	<-reached
	return h
}

// goOn commits something about what is in the checkpoint.
func (h *heldCheckpoint) goOn() {
	h.t.Helper()
	done := make(chan error, 1)
	go func() {
		h.Settle(bridge.Result{Ref: h.ends})
		done <- h.Wait(h.t.Context(), h.Bind(h.binds, []byte("meanwhile")))
	}()
	select {
	case err := <-done:
		must(h.t, err)
	case <-time.After(20 * time.Second):
		h.release(nil)
		h.t.Fatal("commits wait for the checkpoint")
	}
}

// compactOp makes what came since the last checkpoint compact, as when there is much of it.
type compactOp struct{ done chan error }

func (o *compactOp) size() (int, int)   { return 1, 0 }
func (o *compactOp) decide(d *decision) { d.j.unsaved.changes.Compact() }

func (o *compactOp) end(_ *Journal, err error) bool {
	o.done <- err
	return false
}

// While a checkpoint is being written commits go on. What they make of what is in it is in the next one; and if it is not written
// all that was in it is, whatever has become of that.
func TestCommitsBesideCheckpoint(t *testing.T) {
	for _, fails := range []error{nil, sqlfault.NoRoom(t)} {
		for _, compact := range []bool{false, true} {
			h := holdCheckpoint(t, 0)
			h.goOn()
			if compact {
				o := &compactOp{make(chan error, 1)}
				must(t, h.enqueue(o))
				must(t, <-o.done)
			}
			h.killed("beside it")
			h.release(fails)
			h.sync()
			h.killed("after it")
			h.f.Set(nil)
			h.c.add(6 * time.Second)
			h.follow()
			h.killed("after the next one")
			h.sum()
			h.end()
		}
	}
}

// A stop waits for the checkpoint, and leaves tables that know all.
func TestStopBesideCheckpoint(t *testing.T) {
	for _, fails := range []error{nil, sqlfault.NoRoom(t)} {
		h := holdCheckpoint(t, 0)
		h.goOn()
		closed := make(chan error, 1)
		go func() { closed <- h.Close() }()
		select {
		case <-closed:
			t.Fatal("the files are closed beside it")
		case <-time.After(20 * time.Millisecond):
		}
		h.release(fails)
		must(t, <-closed)
		h.end()
		var position, last int64
		tables, log := rawDB(t, h.opt.Dir, sqlite.FileName), rawDB(t, h.opt.Dir, sqlite.LogName)
		must(t, errors.Join(tables.QueryRow("SELECT v FROM meta WHERE k = 'log_n'").Scan(&position), log.QueryRow("SELECT max(n) FROM log").Scan(&last)))
		must(t, errors.Join(tables.Close(), log.Close()))
		if position == 0 || position != last {
			t.Errorf("the tables stand at %d, the log at %d", position, last)
		}
	}
}

// A checkpoint that meets a broken disk ends the process; what was committed beside it is there at the next start.
func TestBrokenBesideCheckpoint(t *testing.T) {
	h := holdCheckpoint(t, 0)
	h.goOn()
	h.release(errors.New("input/output error"))
	select {
	case err := <-h.Fatal():
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	k := openTest(t, options(copyFolder(t, h.opt.Dir)))
	bound, err := k.Bound(t.Context(), bridge.MQTT)
	must(t, err)
	if n := len(bound); n == 0 || string(bound[n-1].Binding) != "meanwhile" {
		t.Errorf("bound: %v", bound)
	}
	k.sum()
}

// A checkpoint stands still until the journal is full: what was taken goes on.
func TestFullBesideCheckpoint(t *testing.T) {
	h := holdCheckpoint(t, 2<<20)
	body := strings.Repeat("x", 30_000)
	for n := 0; ; n++ {
		r := direct(bridge.XMPP, fmt.Sprint("7", n%9), fmt.Sprint("8", n%9), fmt.Sprint(n, body))
		if h.append(r); r.Outcome == bridge.OutcomeFull {
			break
		}
		if n == 200 {
			h.release(nil)
			t.Fatal("it never is full")
		}
	}
	h.goOn()
	h.release(nil)
	h.sync()
}

// A checkpoint is there, and SQLite says that there was no room: what ends meanwhile has ended.
func TestCheckpointIsThereAfterAll(t *testing.T) {
	f, name := sqlfault.New(t)
	c := newClock()
	o := options(t.TempDir())
	o.driver, o.Sync, o.Clock, o.Notices = name, "os", c.Now, bridge.Notices{Failed: true}
	b := openTest(t, o)
	// An answer alone: its row goes with its delivery.
	refused := &bridge.Record{Origin: bridge.MQTT, Verdict: bridge.VerdictReject, Reason: "bad", From: "1009", Body: []byte("{}")}
	refused.Deliveries = []bridge.Delivery{bridge.NoticeDelivery("1009", bridge.Note{Status: "failed", Text: "bad", At: 1})}
	b.want(refused, bridge.OutcomeRefused)
	notice := b.next(bridge.MQTT)
	reached, end, first := make(chan struct{}), make(chan error, 1), true
	f.SetFor(sqlite.FileName, func(query string, ran bool) error {
		if query != "COMMIT" || !ran || !first {
			return nil
		}
		first = false
		close(reached)
		return <-end
	})
	c.add(6 * time.Second)
	must(t, b.Wait(t.Context(), b.SetState(bridge.MQTT, bridge.StateRow{Key: "a", Value: []byte("b")})))
	<-reached
	b.Settle(bridge.Result{Ref: notice.Ref})
	must(t, b.Wait(t.Context(), b.SetState(bridge.MQTT)))
	end <- sqlfault.NoRoom(t)
	b.sync()
	f.Set(nil)
	b.follow()
	b.killed("after it")
}

// Where no more files can be opened for reading a start fails with an error.
func TestReadersCannotBeOpened(t *testing.T) {
	o := options(t.TempDir())
	openTest(t, o).end()
	o.readDriver = "none of that name"
	if _, err := Open(t.Context(), o); err == nil {
		t.Error("no error")
	}
}

// A checkpoint can neither be committed nor taken back: no frame goes that the tables do not have.
func TestCheckpointStaysOpen(t *testing.T) {
	f, name := sqlfault.New(t)
	c := newClock()
	o := options(t.TempDir())
	o.driver, o.Sync, o.Clock = name, "os", c.Now
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "71", "81", "x"), bridge.OutcomeTaken)
	ended := make(chan struct{}, 1)
	f.SetFor(sqlite.FileName, func(query string, ran bool) error {
		switch {
		case ran:
		case query == "COMMIT":
			return sqlfault.NoRoom(t)
		case query == "ROLLBACK":
			select {
			case ended <- struct{}{}:
			default:
			}
			return errors.New("input/output error")
		}
		return nil
	})
	c.add(6 * time.Second)
	must(t, b.Wait(t.Context(), b.SetState(bridge.MQTT, bridge.StateRow{Key: "a", Value: []byte("b")})))
	<-ended
	b.sync()
	must(t, b.Wait(t.Context(), b.SetState(bridge.MQTT, bridge.StateRow{Key: "a", Value: []byte("c")}))) // frames are cut behind a commit
	b.killed("it is neither there nor gone")
	f.Set(nil)
}

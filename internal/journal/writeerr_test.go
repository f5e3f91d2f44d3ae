package journal

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/test/sqlfault"
)

// lack makes every statement that writes fail for want of room while it is on.
type lack struct {
	mu  sync.Mutex
	on  bool
	err error
}

func (l *lack) set(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = on
}

func (l *lack) hook(query string, ran bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	verb, _, _ := strings.Cut(query, " ")
	if !l.on || ran || verb == "SELECT" || verb == "ROLLBACK" || verb == "BEGIN" || verb == "PRAGMA" {
		return nil
	}
	return l.err
}

// patient runs what until it is true; each call must have the writer do something.
func patient(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("never came true: %s", what)
		}
	}
}

func troubled(t *testing.T) (*testJournal, *lack, Options) {
	t.Helper()
	f, name := sqlfault.New(t)
	o := options(t.TempDir())
	o.driver = name
	b := openTest(t, o)
	l := &lack{err: sqlfault.NoRoom(t)}
	f.Set(l.hook)
	return b, l, o
}

// TestBlockedHandsOutNothing: while nothing can be written nothing is handed out, as it could not be bound; also where what failed
// were new messages only, so that nothing is kept to be tried again.
func TestBlockedHandsOutNothing(t *testing.T) {
	b, disk, _ := troubled(t)
	b.want(direct(bridge.XMPP, "1001", "1003", "waits"), bridge.OutcomeTaken)
	disk.set(true)
	if err := b.Append(t.Context(), []*bridge.Record{direct(bridge.XMPP, "1001", "1004", "too much")}); !errors.Is(err, bridge.ErrFull) {
		t.Fatalf("append: %v, want ErrFull", err)
	}
	for range 20 {
		b.nothing(bridge.MQTT)
		time.Sleep(5 * time.Millisecond)
	}
	disk.set(false)
	b.next(bridge.MQTT)
}

func TestFullDiskIsSurvived(t *testing.T) {
	b, disk, o := troubled(t)
	b.want(direct(bridge.XMPP, "1001", "1002", "bound before"), bridge.OutcomeTaken)
	b.want(direct(bridge.XMPP, "1001", "1003", "waits"), bridge.OutcomeTaken)
	first := b.next(bridge.MQTT)
	b.bind(first.Ref, "1")
	second := b.next(bridge.MQTT)

	disk.set(true)
	if err := b.Append(t.Context(), []*bridge.Record{direct(bridge.XMPP, "1001", "1004", "too much")}); !errors.Is(err, bridge.ErrFull) {
		t.Fatalf("append: %v, want ErrFull", err)
	}
	if a := b.Totals(); a.WriteErr == "" || a.Pending[bridge.XMPP] != 2 {
		t.Fatalf("trouble %q, pending %v", a.WriteErr, a.Pending)
	}
	if err := b.Wait(t.Context(), b.Bind(second.Ref, []byte("2"))); err == nil {
		t.Fatal("a binding was committed without room")
	}
	phase := b.Bind(first.Ref, []byte("1, released"))
	b.Settle(bridge.Result{Ref: second.Ref, Err: bridge.Refuse("no", "no")})
	if err := b.Wait(t.Context(), phase); err == nil {
		t.Fatal("a phase was committed without room")
	}
	b.nothing(bridge.MQTT)
	if err := b.Delayed(t.Context(), 0); err == nil {
		t.Error("a notice was committed without room")
	}
	if err := b.Requeue(t.Context(), second.Ref); err == nil {
		t.Error("a requeue was committed without room")
	}
	select {
	case err := <-b.Fatal():
		t.Fatalf("the writer ended: %v", err)
	default:
	}

	disk.set(false)
	// An intake that never rests must not keep the journal from noticing that there is room.
	patient(t, "there is room again", func() bool {
		return b.Append(t.Context(), []*bridge.Record{direct(bridge.XMPP, "1001", "1004", "too much")}) == nil
	})
	if a := b.Totals(); a.WriteErr != "" {
		t.Errorf("trouble %q after it ended", a.WriteErr)
	}
	b.wantCount(died, bridge.XMPP, "no", 1)
	b.sum()
	o.driver = ""
	b = b.reopen(o)
	deliveries, err := b.Bound(t.Context(), bridge.MQTT)
	if err != nil || len(deliveries) != 1 || string(deliveries[0].Binding) != "1, released" {
		t.Errorf("bound is %v (%v), want the released one", deliveries, err)
	}
	b.sum()
}

// A hung commit, with what a wire says meanwhile in the queue behind it.
func TestBindFailsUnderItsSuccessor(t *testing.T) {
	for _, one := range []bool{true, false} { // only the first commit fails, or the second one too
		f, name := sqlfault.New(t)
		o := options(t.TempDir())
		o.driver = name
		b := openTest(t, o)
		b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
		o1 := b.next(bridge.MQTT)
		fails := 2
		if one {
			fails = 1
		}
		reached, goAhead := lackRoom(t, f, 1, fails)
		first := b.Bind(o1.Ref, []byte("connection 1"))
		<-reached
		b.Unbind(o1.Ref)
		o2 := b.next(bridge.MQTT)
		second := b.Bind(o2.Ref, []byte("connection 2"))
		close(goAhead)
		if err := b.Wait(t.Context(), first); err == nil {
			t.Fatal("the first binding was committed")
		}
		err := b.Wait(t.Context(), second)
		patient(t, "no trouble", func() bool {
			return b.Append(t.Context(), []*bridge.Record{direct(bridge.XMPP, "9", "9", "x")}) == nil
		})
		deliveries, err2 := b.Bound(t.Context(), bridge.MQTT)
		if err2 != nil {
			t.Fatal(err2)
		}
		got := b.next(bridge.MQTT)
		switch {
		case err == nil && (len(deliveries) != 1 || got.To != "9"):
			t.Errorf("the second binding holds, but bound is %v and next is %+v", deliveries, got)
		case err != nil && (len(deliveries) != 0 || got.Ref != o1.Ref):
			t.Errorf("the second binding failed, but bound is %v and next is %+v", deliveries, got)
		}
	}
}

// A delivery was bound, and is unbound and bound anew while the disk is full: the old binding must not make the
// failed one look as if the wire had gone on with it.
func TestRebindFails(t *testing.T) {
	f, name := sqlfault.New(t)
	o := options(t.TempDir())
	o.driver = name
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	ref := b.next(bridge.MQTT).Ref
	b.bind(ref, "connection 1")
	reached, goAhead := lackRoom(t, f, 2, 2)
	b.Count(bridge.MQTT, "x", 1)
	<-reached
	b.Unbind(ref)
	b.next(bridge.MQTT)
	ticket := b.Bind(ref, []byte("connection 2"))
	close(goAhead)
	if err := b.Wait(t.Context(), ticket); err == nil {
		t.Fatal("the binding was committed")
	}
	if got := b.next(bridge.MQTT); got.Ref != ref {
		t.Errorf("next is %v, want %v", got.Ref, ref)
	}
	if deliveries, err := b.Bound(t.Context(), bridge.MQTT); err != nil || len(deliveries) != 0 {
		t.Errorf("bound is %v (%v)", deliveries, err)
	}
}

// A new generation of keys needs room that there may not be; what is in hand must not fail for it.
func TestNoRoomForGeneration(t *testing.T) {
	f, name := sqlfault.New(t)
	c := newClock()
	o := options(t.TempDir())
	o.driver, o.Clock = name, c.Now
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	ref := b.next(bridge.MQTT).Ref
	lacking := sqlfault.NoRoom(t)
	f.Set(func(query string, ran bool) error {
		if strings.HasPrefix(query, "DELETE FROM seen") || strings.HasPrefix(query, "INSERT INTO seen") {
			return lacking
		}
		return nil
	})
	c.add(40 * time.Hour)
	b.bind(ref, "1")
	b.settle(ref)
	b.wantCount(delivered, bridge.XMPP, "", 1)
	f.Set(nil)
	b.sum()
}

func TestBrokenDiskEndsTheWriter(t *testing.T) {
	f, name := sqlfault.New(t)
	o := options(t.TempDir())
	o.driver = name
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	ref := b.next(bridge.MQTT).Ref
	broken := errors.New("input/output error")
	f.Set(func(query string, ran bool) error {
		if appends(query) {
			return broken
		}
		return nil
	})
	ticket := b.Bind(ref, []byte("1"))
	if err := b.Wait(t.Context(), ticket); err == nil {
		t.Error("the binding was committed")
	}
	if err := <-b.Fatal(); !errors.Is(err, broken) {
		t.Errorf("fatal is %v", err)
	}
	if err := b.Append(t.Context(), []*bridge.Record{direct(bridge.XMPP, "1", "2", "x")}); err == nil || errors.Is(err, bridge.ErrFull) {
		t.Errorf("append after the end: %v", err)
	}
	if _, err := b.Next(t.Context(), bridge.XMPP); err == nil {
		t.Error("Next goes on after the end")
	}
	if err := b.Wait(t.Context(), b.SetState(bridge.MQTT)); err == nil {
		t.Error("a ticket is good after the end")
	}
	if a := b.Totals(); a.WriteErr == "" {
		t.Error("no trouble after the end")
	}
}

// A body that cannot be read for a moment is no dead letter; one that is not there is.
func TestUnreadable(t *testing.T) {
	f, name := sqlfault.New(t)
	o := options(t.TempDir())
	o.readDriver = name
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	b.want(direct(bridge.XMPP, "1001", "1003", "b"), bridge.OutcomeTaken)
	b.follow()
	b.mu.Lock()
	for _, m := range b.pic.Messages {
		b.uncache(m)
	}
	b.mu.Unlock()
	lacking, n := sqlfault.NoRoom(t), 0
	f.Set(func(query string, ran bool) error {
		if n++; n == 1 && strings.HasPrefix(query, "SELECT body") {
			return lacking
		}
		return nil
	})
	if o := b.next(bridge.MQTT); o.To != "1003" || string(o.Body) != "b" {
		t.Errorf("next is %+v, want the other lane's", o)
	}
	if o := b.next(bridge.MQTT); o.To != "1002" || string(o.Body) != "a" {
		t.Errorf("next is %+v, want the first again", o)
	}
	b.wantCount(died, bridge.XMPP, "unreadable", 0)

	b.want(direct(bridge.XMPP, "1001", "1004", "c"), bridge.OutcomeTaken)
	b.want(direct(bridge.XMPP, "1001", "1005", "d"), bridge.OutcomeTaken)
	b.follow()
	b.mu.Lock()
	for _, m := range b.pic.Messages {
		b.uncache(m)
	}
	b.mu.Unlock()
	db := rawDB(t, o.Dir, sqlite.FileName)
	_, err := db.Exec("DELETE FROM messages WHERE body = ?", []byte("c"))
	must(t, err)
	must(t, db.Close())
	if o := b.next(bridge.MQTT); o.To != "1005" {
		t.Errorf("next is %+v, want the one that is there", o)
	}
	b.sync()
	b.wantCount(died, bridge.XMPP, "unreadable", 1)
	b.sum()
}

func TestCloseAnswersEveryone(t *testing.T) {
	for range 20 {
		j, err := Open(t.Context(), options("memory"))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					if j.Append(t.Context(), []*bridge.Record{direct(bridge.MQTT, "1", "2", "x")}) != nil {
						return
					}
					if j.Wait(t.Context(), j.SetState(bridge.MQTT)) != nil {
						return
					}
					_ = j.Delayed(t.Context(), 0)
				}
			})
			all.Go(func() {
				for {
					if _, err := j.Next(t.Context(), bridge.XMPP); err != nil {
						return
					}
				}
			})
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A process that ended in the midst of a probe leaves it behind; the next one takes it away.
func TestProbeIsTakenAway(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	b.end()
	db := rawDB(t, o.Dir, sqlite.LogName)
	_, err := db.Exec("INSERT INTO meta VALUES ('probe', zeroblob(100000))")
	must(t, err)
	must(t, db.Close())
	openTest(t, o)
	db, n := rawDB(t, o.Dir, sqlite.LogName), 0
	must(t, db.QueryRow("SELECT count(*) FROM meta WHERE k = 'probe'").Scan(&n))
	if must(t, db.Close()); n != 0 {
		t.Error("the probe is still there")
	}
}

package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/test/sqlfault"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// live has something of each kind happen: taken, bound, settled, buried, requeued, put off, remembered.
func (b *testJournal) live(n int) {
	b.t.Helper()
	texts := func(to string) {
		b.want(direct(bridge.XMPP, "1001", to, fmt.Sprint("text ", n)), bridge.OutcomeTaken)
	}
	texts(fmt.Sprint(2000 + n))
	b.bind(b.next(bridge.MQTT).Ref, fmt.Sprint("packet ", n))
	texts(fmt.Sprint(3000 + n))
	ref := b.next(bridge.MQTT).Ref
	b.bury(ref, bridge.Refuse("no", "nobody"))
	texts(fmt.Sprint(4000 + n))
	b.settle(b.next(bridge.MQTT).Ref)
	texts(fmt.Sprint(5000 + n))
	b.Defer(b.next(bridge.MQTT).Ref, time.Hour, "busy")
	b.want(group("1001", fmt.Sprint("group ", n), "1002", "1003"), bridge.OutcomeTaken)
	must(b.t, b.Wait(b.t.Context(), b.SetState(bridge.MQTT, bridge.StateRow{Key: fmt.Sprint("k", n%3), Value: fmt.Append(nil, n)})))
	b.sync()
}

// killed wants what a kill leaves to be what the journal has now.
func (b *testJournal) killed(what string) {
	b.t.Helper()
	o := b.opt
	o.driver, o.readDriver, o.Elapsed, o.Dir = "", "", nil, copyFolder(b.t, o.Dir)
	fits(b.t, o.Dir)
	k := openTest(b.t, o)
	if diff := cmp.Diff(strings.Split(b.picture(), "\n"), strings.Split(k.picture(), "\n")); diff != "" {
		b.t.Fatalf("%s: a start does not find what there was: %s", what, diff)
	}
	k.checkLanes()
	k.end()
}

// A checkpoint may fail for want of room at any of its statements, and all that follow: the log goes on, people still see what
// there is, nothing is lost by a kill then, and the next one catches up.
func TestCheckpointFailsAnywhere(t *testing.T) {
	lacking, empty := sqlfault.NoRoom(t), emptyFolder(t)
	for n := 1; ; n++ {
		f, name := sqlfault.New(t)
		o := options(copyFolder(t, empty))
		o.driver, o.Sync, o.Clock = name, "os", newClock().Now // no checkpoint by time
		b := openTest(t, o)
		b.live(1)
		b.follow()
		b.live(2)
		dead, err := b.List(t.Context(), Filter{Dead: true, Limit: 1}) // a checkpoint
		must(t, err)
		must(t, b.Requeue(t.Context(), dead[0].Ref))
		b.live(3)
		seen, at := 0, ""
		f.SetFor(sqlite.FileName, func(query string, ran bool) error {
			if ran || query == "ROLLBACK" || strings.HasPrefix(query, "SELECT") {
				return nil
			}
			if seen++; seen < n {
				return nil
			}
			if at == "" {
				at = query
			}
			return lacking
		})
		list, err := b.List(t.Context(), Filter{})
		if err != nil || len(list) < 8 {
			t.Fatalf("no room at %q: %d are listed (%v)", at, len(list), err)
		}
		if at == "" {
			return
		}
		b.live(4)
		b.killed(fmt.Sprintf("no room at %q", at))
		f.Set(nil)
		if n%4 == 0 {
			b.live(5)
			b.follow()
			b.killed("with room again")
		}
		b.end()
	}
}

// Somebody holds the tables for long: the log goes on, until too much would have to be kept in memory, and again when they are free.
func TestTablesAreLocked(t *testing.T) {
	o := options(t.TempDir())
	c := newClock()
	logged := &lockedLog{lines: map[string]int{}}
	o.MaxBytes, o.Sync, o.Notices, o.Clock, o.Log = 8<<20, "os", bridge.Notices{}, c.Now, zerolog.New(logged)
	b := openTest(t, o)
	logged.mu.Lock()
	logged.j = b.Journal
	logged.mu.Unlock()
	b.live(1)
	db := rawDB(t, o.Dir, sqlite.FileName)
	defer db.Close()
	holder, err := db.Conn(t.Context())
	must(t, err)
	_, err = holder.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	body := strings.Repeat("x", 32<<10)
	taken, began := 0, time.Now()
	for {
		c.add(100 * time.Millisecond)
		r := direct(bridge.XMPP, fmt.Sprint(taken), fmt.Sprint("to ", taken), fmt.Sprint(body, taken)) // nobody has more than his share
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		must(t, b.Append(ctx, []*bridge.Record{r}))
		stop()
		if r.Outcome == bridge.OutcomeFull {
			break
		}
		if taken++; taken > 1000 {
			t.Fatal("it never is full")
		}
	}
	if most := int(o.MaxBytes / checkpointPart * (behindMost + 1) / (32 << 10)); taken < most/2 || taken > most {
		t.Errorf("%d messages were taken behind locked tables in %v", taken, time.Since(began))
	}
	if found, err := b.List(t.Context(), Filter{Limit: 1000}); err != nil || len(found) < taken {
		t.Errorf("%d of %d are listed (%v)", len(found), taken, err)
	}
	b.settle(b.next(bridge.MQTT).Ref) // what was taken goes on
	b.killed("while they are locked")
	_, err = holder.ExecContext(t.Context(), "ROLLBACK")
	must(t, errors.Join(err, holder.Close()))
	patient(t, "there is room again", func() bool {
		c.add(time.Second)
		r := direct(bridge.XMPP, "a", "b", "again")
		return b.Append(t.Context(), []*bridge.Record{r}) == nil && r.Outcome != bridge.OutcomeFull
	})
	b.killed("when they are free")
	logged.mu.Lock()
	defer logged.mu.Unlock()
	for _, text := range []string{"the tables of the journal cannot be brought up to date for now: the log goes on", "the tables of the journal are up to date again"} {
		if logged.lines[text] != 1 {
			t.Errorf("%q was logged %d times", text, logged.lines[text])
		}
	}
	b.sum()
}

// Dead letters over their share, and tables that cannot be written to: that is tried again now and then, not for ever at once.
func TestShedWaitsForTables(t *testing.T) {
	lacking := sqlfault.NoRoom(t)
	f, name := sqlfault.New(t)
	c := newClock()
	o := options(t.TempDir())
	o.driver, o.Sync, o.Clock, o.MaxBytes, o.Notices = name, "os", c.Now, 1<<20, bridge.Notices{}
	b := openTest(t, o)
	var tries atomic.Int64
	f.SetFor(sqlite.FileName, func(query string, ran bool) error {
		if query == "BEGIN IMMEDIATE" && !ran {
			tries.Add(1)
			return lacking
		}
		return nil
	})
	for n := range 14 {
		b.want(direct(bridge.XMPP, fmt.Sprint(n), "1002", strings.Repeat("x", 20<<10)), bridge.OutcomeTaken)
		b.bury(b.next(bridge.MQTT).Ref, bridge.Refuse("no", "nobody"))
	}
	for range 50 {
		b.want(&bridge.Record{Origin: bridge.XMPP, Verdict: bridge.VerdictIgnore, Reason: "x"}, bridge.OutcomeIgnored)
	}
	if n := tries.Load(); n > 5 {
		t.Errorf("tried %d times within a second", n)
	}
	f.Set(nil)
	c.add(5 * time.Second)
	patient(t, "dead letters are put away", func() bool {
		b.want(&bridge.Record{Origin: bridge.XMPP, Verdict: bridge.VerdictIgnore, Reason: "x"}, bridge.OutcomeIgnored)
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.pic.Dead.Bytes <= o.MaxBytes/deadShare
	})
	b.sum()
}

// The log has no room for one more frame, but holds many that the tables need no more.
func TestLogMakesRoom(t *testing.T) {
	lacking := sqlfault.NoRoom(t)
	f, name := sqlfault.New(t)
	c := newClock()
	o := options(t.TempDir())
	o.driver, o.Sync, o.Clock = name, "os", c.Now
	b := openTest(t, o)
	for n := range 5 {
		b.live(n)
	}
	var cut atomic.Bool
	f.SetFor(sqlite.LogName, func(query string, ran bool) error {
		if strings.HasPrefix(query, "DELETE FROM log") && ran {
			cut.Store(true)
		}
		if (appends(query) || strings.HasPrefix(query, "INSERT")) && !cut.Load() {
			return lacking
		}
		return nil
	})
	patient(t, "there is room", func() bool {
		c.add(time.Second)
		err := b.Append(t.Context(), []*bridge.Record{direct(bridge.XMPP, "1", "2", "x")})
		return err == nil
	})
	b.killed("with the room it made")
}

package journal

import (
	"fmt"
	"testing"
	"time"

	"chatrelay/bridge"
)

// buried makes n dead letters of a kind in a journal.
func (b *testJournal) buried(n int, from, to, reason string) {
	b.t.Helper()
	for done := 0; done < n; {
		recs := make([]*bridge.Record, min(1000, n-done))
		for i := range recs {
			recs[i] = direct(bridge.XMPP, from, to, fmt.Sprint(reason, " ", done+i))
		}
		b.append(recs...)
		results := make([]bridge.Result, 0, len(recs))
		for len(results) < len(recs) {
			if o := b.next(bridge.MQTT); o.Kind.IsMessage() {
				results = append(results, bridge.Result{Ref: o.Ref, Err: bridge.Refuse(reason, "no")})
			} else {
				b.Settle(bridge.Result{Ref: o.Ref})
			}
		}
		b.Settle(results...)
		b.sync()
		done += len(recs)
	}
}

// all goes through the batches of a change.
func (b *testJournal) all(change func(Filter) (Batch, error), f Filter) (changed, batches int) {
	b.t.Helper()
	for {
		got, err := change(f)
		must(b.t, err)
		changed, batches, f.After = changed+len(got.Changed), batches+1, got.Next
		if got.Full {
			b.t.Fatal("no room")
		}
		if got.Next == 0 {
			return changed, batches
		}
	}
}

func TestSomeDead(t *testing.T) {
	c := newClock()
	o := options("memory")
	o.Clock, o.Notices = c.Now, bridge.Notices{}
	b := openTest(t, o)
	b.buried(300, "1001", "1002", "too_large")
	b.buried(20, "1001", "1003", "gone")
	c.add(time.Hour)
	b.buried(20, "1004", "1002", "gone")
	b.want(direct(bridge.XMPP, "1001", "1002", "waits"), bridge.OutcomeTaken)
	drop := func(f Filter) (Batch, error) { return b.DropSome(t.Context(), f) }
	requeue := func(f Filter) (Batch, error) { return b.RequeueSome(t.Context(), f) }
	for _, step := range []struct {
		name    string
		change  func(Filter) (Batch, error)
		f       Filter
		changed int
	}{
		{"nothing fits", drop, Filter{Reason: "gone", From: "1001", To: "1002"}, 0},
		{"of a sender and a reason", drop, Filter{Reason: "gone", From: "1004"}, 20},
		{"to somebody", requeue, Filter{To: "1003"}, 20},
		{"younger than that", drop, Filter{Before: c.Now().Add(-2 * time.Hour)}, 0},
		{"older", drop, Filter{Before: c.Now().Add(-time.Minute)}, 300},
		{"all", drop, Filter{}, 0},
	} {
		if changed, batches := b.all(step.change, step.f); changed != step.changed || changed > deadBatch*batches {
			t.Errorf("%s: %d in %d batches, want %d", step.name, changed, batches, step.changed)
		}
		b.sum()
	}
	if n, _ := b.DeadLetters(); n != 0 || b.Totals().Pending[bridge.XMPP] != 21 {
		t.Errorf("%d dead, %v pending, want the 20 that were requeued and the one that waited", n, b.Totals().Pending)
	}
	b.checkLanes()
}

// What is requeued waits, and costs memory: it ends where there is no room for more.
func TestRequeueEndsWhereItIsFull(t *testing.T) {
	o := options(t.TempDir())
	o.Notices = bridge.Notices{}
	b := openTest(t, o)
	b.buried(300, "1001", "1002", "gone")
	o.MaxPending = 100
	b = b.reopen(o)
	got, err := b.RequeueSome(t.Context(), Filter{})
	if err != nil || len(got.Changed) != 100 || !got.Full || got.Next == 0 {
		t.Fatalf("%+v %v, want 100 and full", got, err)
	}
	if n, _ := b.DeadLetters(); n != 200 {
		t.Errorf("%d are dead, want 200", n)
	}
	b.sum()
}

// Many are a matter of seconds (100,000 take a few), in commits of bounded size.
func TestManyDead(t *testing.T) {
	const n = 2_000
	o := options(t.TempDir())
	o.Sync, o.Notices = "os", bridge.Notices{}
	b := openTest(t, o)
	b.buried(n, "1001", "1002", "gone")
	if changed, batches := b.all(func(f Filter) (Batch, error) { return b.RequeueSome(t.Context(), f) }, Filter{From: "1001"}); changed != n || batches != n/deadBatch+1 {
		t.Errorf("%d requeued in %d batches, want %d", changed, batches, n)
	}
	for range n {
		b.Settle(bridge.Result{Ref: b.next(bridge.MQTT).Ref, Err: bridge.Refuse("gone", "no")})
	}
	b.sync()
	if changed, _ := b.all(func(f Filter) (Batch, error) { return b.DropSome(t.Context(), f) }, Filter{}); changed != n {
		t.Errorf("%d dropped, want %d", changed, n)
	}
	b.sum()
}

// A requeued message that never was told so is delayed like any other, and its age is its own.
func TestRequeuedIsDelayed(t *testing.T) {
	o := options(t.TempDir())
	c := newClock()
	o.Clock = c.Now
	b := openTest(t, o)
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	ref := b.next(bridge.MQTT).Ref
	b.bury(ref, bridge.Refuse("no", "nobody"))
	b.wantNotice("1001", "a|failed|nobody")
	c.add(time.Minute)
	must(t, b.Delayed(t.Context(), time.Second))
	b.want(direct(bridge.XMPP, "1003", "1004", "b"), bridge.OutcomeTaken)
	must(t, b.Requeue(t.Context(), ref))
	if a := b.Totals(); a.Oldest != time.Minute {
		t.Errorf("the oldest waits for %v, want a minute", a.Oldest)
	}
	must(t, b.Delayed(t.Context(), time.Second))
	if n := b.notice(); n.Note.Status != "delayed" || n.To != "1001" {
		t.Errorf("notice %+v to %s", n.Note, n.To)
	}
}

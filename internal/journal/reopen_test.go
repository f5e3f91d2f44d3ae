package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/test/sqlfault"

	"github.com/google/go-cmp/cmp"
)

// TestReopen: what was committed is there after a restart, in its order, and adds up.
func TestReopen(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	for i := range 6 {
		b.want(direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i)), bridge.OutcomeTaken)
	}
	b.want(direct(bridge.XMPP, "1003", "1004", "other lane"), bridge.OutcomeTaken)
	g := group("1005", "to all", "1006", "1007")
	b.want(g, bridge.OutcomeTaken)
	var refs []bridge.Ref
	for range 4 {
		for {
			if x := b.next(bridge.MQTT); x.From == "1001" {
				refs = append(refs, x.Ref)
				break
			}
		}
	}
	b.Bind(refs[2], []byte("c"))
	b.Bind(refs[0], []byte("a"))
	b.bind(refs[1], "b")
	b.bind(refs[2], "c, released")
	b.Defer(refs[3], -time.Second, "busy")
	b.sync()
	before := b.Totals()
	journalID := b.ID()
	id, text := b.NewID()

	b = b.reopen(o)
	after := b.Totals()
	before.Bytes, after.Bytes, before.Oldest, after.Oldest = 0, 0, 0, 0
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the account changed: %s", diff)
	}
	if id2, text2 := b.NewID(); b.ID() != journalID || id2 <= id || text2 == text || !strings.HasPrefix(text2, "cr-"+journalID) {
		t.Errorf("number %d (%s) after %d (%s)", id2, text2, id, text)
	}
	deliveries, err := b.Bound(t.Context(), bridge.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	var bindings []string
	for _, l := range deliveries {
		bindings = append(bindings, string(l.Binding)+" "+string(l.Body))
	}
	if diff := cmp.Diff([]string{"c, released 2", "a 0", "b 1"}, bindings); diff != "" {
		t.Error(diff)
	}
	if n, since := b.Attempts(refs[3]); n != 1 || since > time.Minute {
		t.Errorf("%d attempts since %v", n, since)
	}
	got := map[string][]string{}
	for range 6 {
		x := b.next(bridge.MQTT)
		got[x.From] = append(got[x.From], string(x.Body))
		b.settle(x.Ref)
		if x.From != "1005" || len(got["1005"]) == 2 {
			if n := b.notice(); n.Note.Status != "sent" {
				t.Errorf("notice %+v", n.Note)
			}
		}
	}
	slices.Sort(got["1005"]) // two lanes
	want := map[string][]string{"1001": {"3", "4", "5"}, "1003": {"other lane"}, "1005": {"to all>1006", "to all>1007"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.nothing(bridge.MQTT)
	for i := range 6 {
		r := direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i))
		r.Redelivered = true
		b.want(r, bridge.OutcomeDuplicate)
	}
	b.Unbind(refs[1], refs[0])
	b = b.reopen(o)
	if x := b.next(bridge.MQTT); x.Ref != refs[0] {
		t.Errorf("next is %v, want %v", x.Ref, refs[0])
	}
	b.sum()
}

// notice takes the next notice out of turn, letting messages be.
func (b *testJournal) notice() bridge.Outbound {
	b.t.Helper()
	var messages []bridge.Ref
	for {
		o := b.next(bridge.MQTT)
		if o.Kind == bridge.KindNotice {
			b.settle(o.Ref)
			for _, ref := range messages {
				b.Release(ref)
			}
			return o
		}
		messages = append(messages, o.Ref)
	}
}

// Notices, bounces and the answers to retries outlive a restart.
func TestAnswersAfterReopen(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	ok, bad, back := direct(bridge.MQTT, "1", "2", "ok"), direct(bridge.MQTT, "1", "3", "bad"), direct(bridge.MQTT, "1", "4", "back")
	b.append(ok, bad, back)
	b.settle(b.next(bridge.XMPP).Ref)
	b.bury(b.next(bridge.XMPP).Ref, bridge.Refuse("no", "nobody"))
	ref := b.next(bridge.XMPP).Ref
	b.settle(ref)
	b = b.reopen(o)
	b.wantNotice("1", "ok|sent|")
	b.wantNotice("1", "bad|failed|nobody")
	b.wantNotice("1", "back|sent|")
	b.Bounce(ref, bridge.Refuse("gone", "moved"))
	b.sync()
	b = b.reopen(o)
	b.wantNotice("1", "back|failed|moved")
	b.Bounce(ref, bridge.Refuse("gone", "moved"))
	b = b.reopen(o)
	b.nothing(bridge.MQTT)
	for _, c := range []struct {
		r    *bridge.Record
		want string
	}{{ok, "{}|sent|"}, {bad, "{}|failed|nobody"}, {back, "{}|failed|moved"}} { // of what came by MQTT key fields alone: these have none
		again := *c.r
		b.want(&again, bridge.OutcomeDuplicate)
		b = b.reopen(o)
		b.wantNotice("1", c.want)
	}
	b.sum()
}

func TestDeadLetters(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	b.append(direct(bridge.XMPP, "1001", "1002", "a"), direct(bridge.XMPP, "1001", "1003", "bb"))
	first, second := b.next(bridge.MQTT).Ref, b.next(bridge.MQTT).Ref
	b.bind(first, "1")
	b.bury(second, bridge.Refuse("no", "nobody there"))
	b.wantNotice("1001", "bb|failed|nobody there")
	_, want := b.DeadLetters()

	look, err := OpenReadOnly(o.Dir) // beside the running relay
	must(t, err)
	for _, from := range []interface {
		check(testing.TB, bridge.Ref, bridge.Ref)
	}{(*looker)(look), b} {
		from.check(t, first, second)
	}
	b.end()
	(*looker)(look).check(t, first, second)
	must(t, look.Close())
	look, err = OpenReadOnly(o.Dir) // without one
	must(t, err)
	(*looker)(look).check(t, first, second)
	must(t, look.Close())
	if _, err := OpenReadOnly(t.TempDir()); err == nil {
		t.Error("a journal was found where there is none")
	}

	b = openTest(t, o)
	if n, bytes := b.DeadLetters(); n != 1 || bytes != want {
		t.Errorf("%d dead letters of %d bytes", n, bytes)
	}
	for _, do := range []error{b.Requeue(t.Context(), second, first), b.Drop(t.Context(), bridge.Ref{Msg: 999}), b.Drop(t.Context(), first)} {
		if !errors.Is(do, ErrUnknown) {
			t.Errorf("what is not dead was changed: %v", do)
		}
	}
	must(t, b.Requeue(t.Context()))
	must(t, b.Requeue(t.Context(), second, second))
	if a := b.Totals(); a.Pending[bridge.XMPP] != 2 || a.Oldest == 0 {
		t.Errorf("pending %v, oldest %v", a.Pending, a.Oldest)
	}
	b.sum()
	b.want(direct(bridge.XMPP, "1001", "1003", "bb"), bridge.OutcomeDuplicate) // pending again: silence
	b = b.reopen(o)
	if x := b.next(bridge.MQTT); x.Ref != second || string(x.Body) != "bb" {
		t.Errorf("next is %+v", x)
	}
	b.nothing(bridge.MQTT)
	b.bury(second, bridge.Refuse("still", "still nobody"))
	b.wantNotice("1001", "bb|failed|still nobody")
	must(t, b.Requeue(t.Context(), second))
	b.settle(b.next(bridge.MQTT).Ref)
	b.wantNotice("1001", "bb|sent|")
	b.want(direct(bridge.XMPP, "1001", "1003", "bb"), bridge.OutcomeDuplicate)
	b.wantNotice("1001", "bb|sent|")
	b.wantCount(died, bridge.XMPP, "no", 0)
	b.wantCount(died, bridge.XMPP, "still", 0)
	b.wantCount(delivered, bridge.XMPP, "", 1)

	b.bury(first, bridge.Refuse("no", "nobody"))
	b.wantNotice("1001", "a|failed|nobody")
	must(t, b.Drop(t.Context(), first))
	b.wantCount(died, bridge.XMPP, "no", 1)
	if err := b.Drop(t.Context(), first); !errors.Is(err, ErrUnknown) {
		t.Errorf("dropped twice: %v", err)
	}
	if _, _, err := b.Show(t.Context(), first.Msg); !errors.Is(err, ErrUnknown) {
		t.Errorf("a dropped dead letter is still in the journal: %v", err)
	}
	if n, bytes := b.DeadLetters(); n != 0 || bytes != 0 {
		t.Errorf("%d dead letters of %d bytes", n, bytes)
	}
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeDuplicate)
	b.wantNotice("1001", "a|failed|nobody")
	b.sum()
}

type looker Reader

func (l *looker) check(t testing.TB, first, second bridge.Ref) {
	t.Helper()
	r := (*Reader)(l)
	dead, err := r.List(t.Context(), Filter{Dead: true})
	must(t, err)
	all, err := r.List(t.Context(), Filter{Limit: 10})
	must(t, err)
	found, body, err := r.Show(t.Context(), second.Msg)
	must(t, err)
	checkEntries(t, first, second, dead, all, found, body)
}

func (b *testJournal) check(t testing.TB, first, second bridge.Ref) {
	t.Helper()
	dead, err := b.List(t.Context(), Filter{Dead: true})
	must(t, err)
	all, err := b.List(t.Context(), Filter{Limit: 10})
	must(t, err)
	found, body, err := b.Show(t.Context(), second.Msg)
	must(t, err)
	checkEntries(t, first, second, dead, all, found, body)
}

func checkEntries(t testing.TB, first, second bridge.Ref, dead, all, found []DeliveryInfo, body []byte) {
	t.Helper()
	if len(dead) != 1 || len(all) != 2 || string(body) != "bb" {
		t.Fatalf("%d dead of %d, body %q", len(dead), len(all), body)
	}
	if diff := cmp.Diff(dead, found); diff != "" {
		t.Error(diff)
	}
	d := dead[0]
	if d.Ref != second || d.From != "1001" || d.To != "1003" || d.State != "dead" || d.Reason != "no" || d.Text != "nobody there" || d.Size != 2 {
		t.Errorf("the dead letter is %+v", d)
	}
	if all[0].Ref != first || all[0].State != "bound" {
		t.Errorf("the first is %+v", all[0])
	}
}

// A copy that was given up stays a failure for the message, whatever becomes of the others.
func TestDropOfAPendingGroup(t *testing.T) {
	for _, restart := range []bool{false, true} {
		o := options(t.TempDir())
		b := openTest(t, o)
		b.want(group("1001", "all", "1002", "1003"), bridge.OutcomeTaken)
		one, two := b.next(bridge.MQTT).Ref, b.next(bridge.MQTT).Ref
		b.bind(two, "1")
		b.bury(one, bridge.Refuse("no", "nobody"))
		must(t, b.Drop(t.Context(), one))
		if restart {
			b = b.reopen(o)
		}
		b.settle(two)
		n := b.next(bridge.MQTT)
		if n.Note.Status != "failed" || !strings.Contains(n.Note.Text, "1 of 2") {
			t.Errorf("notice %+v", n.Note)
		}
		b.settle(n.Ref)
		b.wantCount(delivered, bridge.XMPP, "", 0)
		b.wantCount(died, bridge.XMPP, "dropped", 1)
		if _, _, err := b.Show(t.Context(), one.Msg); !errors.Is(err, ErrUnknown) {
			t.Errorf("its row is still there: %v", err)
		}
		b.want(group("1001", "all", "1002", "1003"), bridge.OutcomeDuplicate)
		if n := b.next(bridge.MQTT); n.Note.Status != "failed" {
			t.Errorf("a retry is told %+v", n.Note)
		}
		b.sum()
	}
}

// Of two dead copies one is given up and the other delivered: the message has still failed.
func TestRequeueAfterDrop(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	b.want(group("1001", "all", "1002", "1003"), bridge.OutcomeTaken)
	one, two := b.next(bridge.MQTT).Ref, b.next(bridge.MQTT).Ref
	b.bury(one, bridge.Refuse("no", "nobody"))
	b.bury(two, bridge.Refuse("no", "nobody"))
	b.wantNotice("1001", "all|failed|2 of 2 not delivered: 1002, 1003 (nobody)")
	must(t, b.Drop(t.Context(), one))
	b = b.reopen(o)
	must(t, b.Requeue(t.Context(), two))
	if ref := b.next(bridge.MQTT).Ref; ref != two {
		t.Fatalf("next is %v", ref)
	}
	b.settle(two)
	if n := b.next(bridge.MQTT); n.Note.Status != "failed" {
		t.Errorf("notice %+v", n.Note)
	}
	b.wantCount(delivered, bridge.XMPP, "", 0)
	b.sum()
}

// A requeue and a late close of the same delivery in one commit.
func TestRequeueAndClose(t *testing.T) {
	for _, why := range []error{nil, bridge.Refuse("late", "late")} {
		f, name := sqlfault.New(t)
		o := options(t.TempDir())
		o.driver = name
		b := openTest(t, o)
		b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
		ref := b.next(bridge.MQTT).Ref
		b.bury(ref, bridge.Refuse("no", "nobody"))
		b.wantNotice("1001", "a|failed|nobody")
		reached, goAhead := make(chan struct{}), make(chan struct{})
		n := 0
		f.Set(func(query string, ran bool) error {
			if appends(query) && !ran {
				if n++; n == 1 {
					close(reached)
					<-goAhead
				}
			}
			return nil
		})
		b.Count(bridge.MQTT, "x", 1)
		<-reached
		done := make(chan error, 1)
		go func() { done <- b.Requeue(t.Context(), ref) }()
		queued := func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.queue.ops.Len() > 0
		}
		patient(t, "the requeue is in the queue", queued)
		b.Settle(bridge.Result{Ref: ref, Err: why})
		close(goAhead)
		must(t, <-done)
		b.sync()
		check := func(b *testJournal) {
			if a := b.Totals(); a.Pending[bridge.XMPP] != 0 || a.Open[bridge.MQTT] != 0 {
				t.Errorf("close with %v: pending %v, open %v", why, a.Pending, a.Open)
			}
			b.sum()
		}
		check(b)
		if x := b.next(bridge.MQTT); x.Kind != bridge.KindNotice {
			t.Errorf("close with %v: next is %+v", why, x)
		}
		o.driver = ""
		b = b.reopen(o)
		check(b)
		if x := b.next(bridge.MQTT); x.Kind != bridge.KindNotice {
			t.Errorf("close with %v: after a restart next is %+v", why, x)
		}
		b.nothing(bridge.MQTT)
	}
}

package app

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
)

// What somebody does with dead letters, one or many, is a station of each.
func TestRequeueIsTraced(t *testing.T) {
	dir, traces := t.TempDir(), t.TempDir()
	refs := buried(t, dir, "a", "b", "c", "d", "e", "f")
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	rec, err := trace.Open(trace.Options{Dir: traces, MaxBytes: 1 << 20, MaxAge: time.Hour, Clock: time.Now, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	d := deadLetters{j, rec.Happened}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.Requeue(t.Context(), refs[0]))
	must(d.Drop(t.Context(), refs[1]))
	if err := d.Drop(t.Context(), refs[1]); err == nil {
		t.Error("dropped twice")
	}
	_, err = d.RequeueSome(t.Context(), admin.Selection{})
	must(err)
	for range refs[2:] { // one of them is refs[0]
		o, err := j.Next(t.Context(), bridge.MQTT)
		must(err)
		j.Settle(bridge.Result{Ref: o.Ref, Err: bridge.Refuse("gone", "no")})
	}
	b, err := d.DropSome(t.Context(), admin.Selection{Reason: "gone"})
	must(err)
	must(rec.Close())
	dropped := 0
	for i, ref := range refs {
		found, err := trace.Find(t.Context(), traces, trace.Query{Text: ref.String()})
		must(err)
		if len(found) != 1 {
			t.Fatalf("%v: %d messages", ref, len(found))
		}
		var events []trace.Event
		for _, s := range found[0].Stations {
			events = append(events, s.Event)
		}
		want := trace.Requeued
		if i == 1 {
			want = trace.Dropped
		}
		if events[0] != want || len(events) > 2 || len(events) == 2 && events[1] != trace.Dropped {
			t.Errorf("%v: %q", ref, events)
		}
		if len(events) == 2 {
			dropped++
		}
	}
	if dropped != len(refs)-2 || b.Changed != dropped {
		t.Errorf("%d dropped, %d said", dropped, b.Changed)
	}
}

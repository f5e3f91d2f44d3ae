package journal

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/message"

	"github.com/rs/zerolog"
)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_700_000_000_000)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// plainRender shows in the bytes what was asked for.
func plainRender(_ bridge.SideID, kind bridge.Kind, to string, body []byte, note bridge.Note) ([]byte, error) {
	switch kind {
	case bridge.KindNotice:
		return fmt.Appendf(nil, "%s|%s|%s", body, note.Status, note.Text), nil
	case bridge.KindCopy:
		return fmt.Appendf(nil, "%s>%s", body, to), nil
	}
	return body, nil
}

func options(dir string) Options {
	return Options{Dir: dir, Notices: bridge.Notices{Sent: true, Delayed: true, Failed: true, Received: true, Read: true, Typing: true}, Log: zerolog.Nop(), Render: plainRender}
}

// journal is an open journal with short words for a test.
type testJournal struct {
	*Journal
	t testing.TB
	r *replay // nil: no replay is compared
}

func openTest(t testing.TB, o Options) *testJournal {
	t.Helper()
	j, r, err := openReplayed(t, o)
	if err != nil {
		t.Fatal(err)
	}
	b := &testJournal{Journal: j, t: t, r: r}
	t.Cleanup(b.end)
	return b
}

func (b *testJournal) end() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Error(err)
	}
	if b.r != nil {
		b.r.check(b.t, b.Journal)
	}
}

// follow has the tables know all.
func (b *testJournal) follow() {
	b.t.Helper()
	must(b.t, b.look(b.t.Context(), func(sqlite.View) error { return nil }))
}

// ask asks the tables beside the journal, which know all by then.
func (b *testJournal) ask(answer any, query string, args ...any) {
	b.t.Helper()
	b.follow()
	db := rawDB(b.t, b.opt.Dir, sqlite.FileName)
	must(b.t, db.QueryRow(query, args...).Scan(answer))
	must(b.t, db.Close())
}

// rawDB opens a file of a folder, whoever has it.
func rawDB(t testing.TB, dir, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, name)+"?_pragma=busy_timeout(5000)")
	must(t, err)
	return db
}

// reopen shuts the journal and opens it again.
func (b *testJournal) reopen(o Options) *testJournal {
	b.t.Helper()
	b.end()
	return openTest(b.t, o)
}

func key(parts ...any) (k message.Key) {
	sum := sha256.Sum256(fmt.Append(nil, parts...))
	copy(k[:], sum[:])
	return k
}

// direct is a message from one landline to another.
func direct(origin bridge.SideID, from, to, text string) *bridge.Record {
	r := &bridge.Record{
		Origin: origin, From: from, Body: []byte(text), Keys: []message.Key{key(from, to, text)},
		Deliveries: []bridge.Delivery{{Side: bridge.MQTT, Kind: bridge.KindInbox, To: to, Lane: from + "\x00" + to}},
	}
	if origin == bridge.MQTT {
		r.Deliveries[0].Side, r.Deliveries[0].Kind, r.Via = bridge.XMPP, bridge.KindChat, to
	}
	return r
}

// group is a message from XMPP to some members.
func group(from, text string, members ...string) *bridge.Record {
	r := &bridge.Record{Origin: bridge.XMPP, From: from, Body: []byte(text), Keys: []message.Key{key(from, text)}}
	for _, m := range members {
		r.Deliveries = append(r.Deliveries, bridge.Delivery{Side: bridge.MQTT, Kind: bridge.KindCopy, To: m, Lane: from + "\x00" + m})
	}
	return r
}

func (b *testJournal) append(recs ...*bridge.Record) {
	b.t.Helper()
	if err := b.Append(b.t.Context(), recs); err != nil {
		b.t.Fatal(err)
	}
}

// want appends one record and checks its outcome.
func (b *testJournal) want(r *bridge.Record, want bridge.Outcome) {
	b.t.Helper()
	b.append(r)
	if r.Outcome != want {
		b.t.Fatalf("outcome %d, want %d", r.Outcome, want)
	}
}

func (b *testJournal) next(side bridge.SideID) bridge.Outbound {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	o, err := b.Next(ctx, side)
	if err != nil {
		b.t.Fatalf("next %v: %v", side, err)
	}
	return o
}

// nothing checks that there is nothing to hand out.
func (b *testJournal) nothing(side bridge.SideID) {
	b.t.Helper()
	b.mu.Lock()
	d, _ := b.Journal.next(b.ready[side])
	b.mu.Unlock()
	if d != nil {
		b.t.Fatalf("handed out %v (kind %d, note %+v), want nothing", d.Ref(), d.Kind, d.Note)
	}
}

func (b *testJournal) settle(refs ...bridge.Ref) {
	b.t.Helper()
	for _, r := range refs {
		b.Settle(bridge.Result{Ref: r})
	}
	b.sync()
}

func (b *testJournal) bury(ref bridge.Ref, why *bridge.Refusal) {
	b.t.Helper()
	b.Settle(bridge.Result{Ref: ref, Err: why})
	b.sync()
}

// sync waits until all that was said is committed, and no checkpoint is under way: so the folder can be copied.
func (b *testJournal) sync() {
	b.t.Helper()
	if err := b.Wait(b.t.Context(), b.SetState(bridge.MQTT)); err != nil {
		b.t.Fatal(err)
	}
	patient(b.t, "no checkpoint is under way", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.unsaved.saving == nil
	})
}

func (b *testJournal) bind(ref bridge.Ref, binding string) {
	b.t.Helper()
	if err := b.Wait(b.t.Context(), b.Bind(ref, []byte(binding))); err != nil {
		b.t.Fatal(err)
	}
}

// sum checks the equation of the promise for both origins.
func (b *testJournal) sum() {
	b.t.Helper()
	checkSum(b.t, b.Totals())
}

func checkSum(t testing.TB, a bridge.Totals) {
	t.Helper()
	for _, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		var in, out int64
		for c, n := range a.Counts {
			switch {
			case c.Side != side:
			case c.Name == received:
				in += n
			case c.Name == delivered, c.Name == duplicate, c.Name == ignored, c.Name == refused, c.Name == died:
				out += n
			}
		}
		if out += a.Pending[side]; in != out {
			t.Fatalf("%v: received %d, accounted for %d: %v, pending %v", side, in, out, a.Counts, a.Pending)
		}
	}
}

func (b *testJournal) counter(name string, side bridge.SideID, reason string) int64 {
	return b.Totals().Counts[bridge.Counter{Name: name, Side: side, Reason: reason}]
}

func (b *testJournal) wantCount(name string, side bridge.SideID, reason string, want int64) {
	b.t.Helper()
	if got := b.counter(name, side, reason); got != want {
		b.t.Fatalf("%s %v %q is %d, want %d", name, side, reason, got, want)
	}
}

// wantNotice takes the next notice, checks it and settles it.
func (b *testJournal) wantNotice(to, body string) {
	b.t.Helper()
	o := b.next(bridge.MQTT)
	if o.Kind != bridge.KindNotice || o.To != to || string(o.Body) != body {
		b.t.Fatalf("got kind %d to %s: %.80q, want a notice to %s: %.80q", o.Kind, o.To, o.Body, to, body)
	}
	b.settle(o.Ref)
}

package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/test/sqlfault"
)

// incarnation is the three transactions of a message: in, out, done. Each step is acknowledged before the next.
type incarnation struct {
	*testJournal
	ref  bridge.Ref
	done int // steps that were acknowledged
}

func incarnationRecord() *bridge.Record {
	r := direct(bridge.XMPP, "1001", "1002", "hello")
	r.WireKey = key("archive id")
	r.State = []bridge.StateRow{{Key: "h", Value: []byte("7")}}
	return r
}

// steps go on until one is not acknowledged.
func (l *incarnation) steps() {
	for _, step := range []func() error{
		func() error { return l.Append(l.t.Context(), []*bridge.Record{incarnationRecord()}) },
		func() error {
			o, err := l.Next(l.t.Context(), bridge.MQTT)
			if err != nil {
				return err
			}
			l.ref = o.Ref
			return l.Wait(l.t.Context(), l.Bind(o.Ref, []byte("packet 1")))
		},
		func() error {
			l.Settle(bridge.Result{Ref: l.ref, State: []bridge.StateRow{{Key: "id", Value: []byte("1")}}})
			return l.Wait(l.t.Context(), l.SetState(bridge.MQTT))
		},
	} {
		if step() != nil {
			return
		}
		l.done++
	}
}

// Facts about a journal after none, one, two, three of the steps.
var incarnationFacts = []string{
	"received 0, delivered 0, pending 0, state map[] map[], bound [], deliveries []",
	"received 1, delivered 0, pending 1, state map[] map[h:7], bound [], deliveries [inbox pending]",
	"received 1, delivered 0, pending 1, state map[] map[h:7], bound [packet 1], deliveries [inbox bound]",
	"received 1, delivered 1, pending 0, state map[id:1] map[h:7], bound [], deliveries [notice pending]",
}

// facts says what a journal holds of an incarnation.
func (b *testJournal) facts() string {
	b.t.Helper()
	ctx := b.t.Context()
	states := make([]map[string]string, 2)
	for i, side := range []bridge.SideID{bridge.MQTT, bridge.XMPP} {
		states[i] = map[string]string{}
		rows, err := b.State(ctx, side)
		if err != nil {
			b.t.Fatal(err)
		}
		for k, v := range rows {
			states[i][k] = string(v)
		}
	}
	bound, err := b.Bound(ctx, bridge.MQTT)
	if err != nil {
		b.t.Fatal(err)
	}
	var bindings, deliveries []string
	for _, l := range bound {
		bindings = append(bindings, string(l.Binding))
	}
	entries, err := b.List(ctx, Filter{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		kind := "inbox"
		if e.Kind == bridge.KindNotice {
			kind = "notice"
		}
		deliveries = append(deliveries, kind+" "+e.State)
	}
	a := b.Totals()
	return fmt.Sprintf("received %d, delivered %d, pending %d, state %v %v, bound %v, deliveries %v",
		a.Counts[bridge.Counter{Name: received, Side: bridge.XMPP}], a.Counts[bridge.Counter{Name: delivered, Side: bridge.XMPP}],
		a.Pending[bridge.XMPP], states[0], states[1], bindings, deliveries)
}

// stage finds out how far a journal is: a step is whole or absent.
func (b *testJournal) stage() int {
	b.t.Helper()
	got := b.facts()
	for i, want := range incarnationFacts {
		if got != want {
			continue
		}
		b.sum()
		// The keys went with the first step, or not at all.
		again, wired := incarnationRecord(), incarnationRecord()
		again.Redelivered, again.WireKey = true, again.Keys[0]
		again.WireKey[0]++
		wired.Keys[0][0]++
		want := bridge.OutcomeDuplicate
		if i == 0 {
			want = bridge.OutcomeTaken
		}
		if b.append(again); again.Outcome != want {
			b.t.Fatalf("after step %d the message is judged %d, want %d", i, again.Outcome, want)
		}
		if i > 0 {
			b.want(wired, bridge.OutcomeDuplicate)
		}
		return i
	}
	b.t.Fatalf("the journal is in between:\n%s", got)
	return 0
}

// emptyFolder gives a folder with a journal in which nothing ever was, to copy.
func emptyFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	b := openTest(t, options(dir))
	b.end()
	return dir
}

// TestStopAnywhere stops the process before and after each statement of a message's way.
func TestStopAnywhere(t *testing.T) {
	empty := emptyFolder(t)
	for _, after := range []bool{false, true} {
		stopped := true
		for n := 1; stopped; n++ {
			stopped = stopAt(t, empty, n, after)
		}
	}
}

// stopAt tells whether the incarnation had that many statements.
func stopAt(t *testing.T, empty string, n int, after bool) bool {
	f, name := sqlfault.New(t)
	o := options(copyFolder(t, empty))
	o.driver, o.Sync = name, "os"
	j, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	l := &incarnation{testJournal: &testJournal{Journal: j, t: t}}
	seen, left, at := 0, "", ""
	f.Set(func(query string, ran bool) error {
		if left != "" {
			return errors.New("the process is dead")
		}
		if ran != after || query == "ROLLBACK" {
			return nil
		}
		if seen++; seen == n {
			left, at = copyFolder(t, o.Dir), query
			return errors.New("the process is dead")
		}
		return nil
	})
	l.steps()
	_ = j.Close()
	if left == "" {
		if l.done != 3 {
			t.Fatalf("%d steps were acknowledged without a fault", l.done)
		}
		return false
	}
	o.Dir, o.driver = left, ""
	b := openTest(t, o)
	defer b.end()
	if got := b.stage(); got < l.done || got > l.done+1 {
		t.Fatalf("stopped at %q: %d steps were acknowledged, the journal has %d", at, l.done, got)
	}
	return true
}

// TestLogCut reopens a journal whose log ends anywhere in its last batch.
func TestLogCut(t *testing.T) {
	f, name := sqlfault.New(t)
	o := options(copyFolder(t, emptyFolder(t)))
	o.driver = name
	l := &incarnation{testJournal: openTest(t, o)}
	var dirs []string // after each commit
	f.Set(func(query string, ran bool) error {
		if ran && appends(query) {
			dirs = append(dirs, copyFolder(t, o.Dir))
		}
		return nil
	})
	l.steps()
	f.Set(nil)
	l.end()
	before, after := logOf(t, dirs[len(dirs)-2]), logOf(t, dirs[len(dirs)-1])
	start := 0
	if len(after) > len(before) && string(after[:32]) == string(before[:32]) {
		start = len(before) // the last batch was added to the log, which was not begun anew
	}
	for _, cut := range cuts(start, len(after)) {
		dir := copyFolder(t, dirs[len(dirs)-1])
		if err := os.WriteFile(filepath.Join(dir, sqlite.LogName+"-wal"), after[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		b := openTest(t, Options{Dir: dir, Sync: "os", Notices: bridge.Notices{Sent: true, Delayed: true, Failed: true}})
		want := incarnationFacts[2]
		if cut == len(after) {
			want = incarnationFacts[3]
		}
		if got := b.facts(); got != want {
			t.Fatalf("cut at %d of %d..%d:\n%s\nwant\n%s", cut, start, len(after), got, want)
		}
		b.end()
	}
}

// cuts are the places to cut a log at. A frame is a header of 24 bytes and a page: the start of each frame, a
// byte of each part, and all bytes of the last one's header, which makes the batch whole.
func cuts(start, end int) (at []int) {
	const frame = 24 + 4096
	for cut := start; cut <= end; cut++ {
		switch in := (cut - 32) % frame; {
		case cut < 32 && cut%5 == 0, in == 0, in == 12, in == 2000, cut == end:
			at = append(at, cut)
		case end-cut <= frame && (in <= 24 || in%1201 == 0 || in == frame-1):
			at = append(at, cut)
		}
	}
	return at
}

func logOf(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, sqlite.LogName+"-wal"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNoRoomAnywhere has the disk full at one statement of a message's way: nothing is lost or doubled, and
// the journal goes on by itself.
func TestNoRoomAnywhere(t *testing.T) {
	lacking, empty := sqlfault.NoRoom(t), emptyFolder(t)
	for n := 1; ; n++ {
		f, name := sqlfault.New(t)
		o := options(copyFolder(t, empty))
		o.driver, o.Sync = name, "os"
		b := openTest(t, o)
		at := ""
		hook, _ := counting(n, func(query string) error {
			at = query
			return lacking
		})
		f.Set(hook)
		goOn(b, at)
		f.Set(nil)
		if got := b.facts(); got != incarnationFacts[3] {
			t.Fatalf("no room at %q: %s", at, got)
		}
		b = b.reopen(options(o.Dir))
		if got := b.stage(); got != 3 {
			t.Fatalf("no room at %q: the file has %d steps", at, got)
		}
		b.end()
		if at == "" {
			return
		}
	}
}

// goOn does what a side and an intake do with a journal that fails: try again.
func goOn(b *testJournal, at string) {
	b.t.Helper()
	for {
		err := b.Append(b.t.Context(), []*bridge.Record{incarnationRecord()})
		if err == nil {
			break
		}
		if !errors.Is(err, bridge.ErrFull) || !strings.Contains(err.Error(), "full") {
			b.t.Fatalf("no room at %q: %v", at, err)
		}
	}
	var ref bridge.Ref
	for {
		ref = b.next(bridge.MQTT).Ref
		if err := b.Wait(b.t.Context(), b.Bind(ref, []byte("packet 1"))); err == nil {
			break
		}
	}
	b.nothing(bridge.MQTT)
	b.Settle(bridge.Result{Ref: ref, State: []bridge.StateRow{{Key: "id", Value: []byte("1")}}})
	// The close may fail, and be tried again by the journal itself: what comes next is the notice.
	if o := b.next(bridge.MQTT); o.Kind != bridge.KindNotice || o.Note.Status != "sent" {
		b.t.Fatalf("no room at %q: next is %+v", at, o)
	} else {
		b.Release(o.Ref)
	}
	b.sum()
}

package trace

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
)

// rig is a Recorder whose clock moves a second with each line.
type rig struct {
	*Recorder
	t   *testing.T
	dir string
	now time.Time
}

func newRig(t *testing.T, dir string, most int64) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir, now: time.Unix(1e9, 0)}
	var err error
	r.Recorder, err = Open(Options{Dir: dir, MaxBytes: most, MaxAge: time.Hour, Log: zerolog.Nop(), Clock: func() time.Time {
		r.now = r.now.Add(time.Second)
		return r.now
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) find(q Query) []*Message {
	r.t.Helper()
	r.flush()
	found, err := Find(r.t.Context(), r.dir, q)
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// only is the one message that a text means.
func (r *rig) only(text string) *Message {
	r.t.Helper()
	found := r.find(Query{Text: text})
	if len(found) != 1 {
		r.t.Fatalf("%q means %d messages", text, len(found))
	}
	return found[0]
}

func ref(msg uint64, n uint16) bridge.Ref { return bridge.Ref{Msg: msg, Delivery: n} }

func taken(msg uint64, id, from string, to ...string) *bridge.Record {
	r := &bridge.Record{Origin: bridge.MQTT, Outcome: bridge.OutcomeTaken, Names: bridge.Names{SenderID: id, Number: msg}, From: from}
	for _, name := range to {
		r.Deliveries = append(r.Deliveries, bridge.Delivery{Side: bridge.XMPP, Kind: bridge.KindChat, To: name})
	}
	return r
}

// TestStates: what is said of a message, as things happen to it.
func TestStates(t *testing.T) {
	r := newRig(t, t.TempDir(), 1<<20)
	step := func(want string, do func()) {
		t.Helper()
		do()
		if got := r.only("7").State; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	dead := bridge.Result{Ref: ref(7, 1), Err: bridge.Refuse("too_large", "it is")}
	step(StateWaiting, func() { r.Offered([]*bridge.Record{taken(7, "a", "1001", "1002", "1003")}) })
	step(StateWaiting, func() { r.Deferred(ref(7, 0), time.Minute, "no route") })
	step(StateOnWire, func() { r.Bound(ref(7, 0), bridge.XMPP, bridge.KindChat, "1002", "") })
	step(StateWaiting, func() { r.Unbound(ref(7, 0)) })
	step(StateOnWire, func() { r.Resumed(&bridge.Outbound{Ref: ref(7, 0), Kind: bridge.KindChat, To: "1002"}, bridge.XMPP) })
	step(StateWaiting, func() { r.Settled([]bridge.Result{{Ref: ref(7, 0), Unproven: true}}) })
	step(StateDead, func() { r.Settled([]bridge.Result{dead}) })
	step(StateDead, func() { r.Bound(ref(7, 4), bridge.MQTT, bridge.KindNotice, "1001", "failed") })
	step(StateDead, func() { r.Settled([]bridge.Result{{Ref: ref(7, 4)}}) })
	step(StateDead, func() { r.Happened(Dropped, ref(7, 0)) })
	step(StateWaiting, func() { r.Happened(Requeued, ref(7, 1)) })
	step(StateOnWire, func() { r.Bound(ref(7, 1), bridge.XMPP, bridge.KindChat, "1003", "") })
	step(StateOnWire, func() { r.Happened(Requeued, ref(7, 1)) }) // written late
	step(StateDelivered, func() { r.Settled([]bridge.Result{{Ref: ref(7, 1)}}) })
	step(StateDelivered, func() {
		r.Offered([]*bridge.Record{{Origin: bridge.MQTT, Outcome: bridge.OutcomeDuplicate, Names: bridge.Names{SenderID: "a", Number: 7}, From: "1001"}})
	})
	step(StateBounced, func() { r.Bounced(ref(7, 1), bridge.Refuse("gone", "it is")) })
	m := r.only("a")
	if m.Number != 7 || m.From != "1001" || m.Origin != "mqtt" || !slices.Equal(m.To, []string{"1002", "1003"}) || len(m.Stations) != 16 {
		t.Errorf("%+v", m)
	}
	if text := m.Stations[1].Text(); text != "for 1m0s, no route" {
		t.Errorf("deferred: %s", text)
	}
	if text := m.Stations[7].Text(); text != "failed notice to 1001 on mqtt" {
		t.Errorf("notice: %s", text)
	}
}

// TestFind: by number, id, sender, receiver, time; the newest.
func TestFind(t *testing.T) {
	r := newRig(t, t.TempDir(), 1<<20)
	odd := "tab\there \"quoted\" \\ and\nmore €"
	refused := &bridge.Record{Origin: bridge.XMPP, Outcome: bridge.OutcomeRefused, From: "1009", Names: bridge.Names{SenderID: "r"}, Reason: "bad_to"}
	busy := &bridge.Record{Origin: bridge.XMPP, Outcome: bridge.OutcomeFull, From: "1009", Names: bridge.Names{SenderID: "b"}, Why: bridge.Refuse("busy", "it is")}
	r.Offered([]*bridge.Record{taken(1, "1001", "1002", "1003")})
	r.Offered([]*bridge.Record{taken(2, odd, "1001", "1003"), refused})
	r.Offered([]*bridge.Record{taken(1001, "x", "1003", "1002"), busy, {Origin: bridge.XMPP, Outcome: bridge.OutcomeIgnored, From: "1009"}})
	share := &bridge.Record{Origin: bridge.MQTT, Outcome: bridge.OutcomeRefused, From: "1009", Names: bridge.Names{SenderID: "s", Number: 9}, Why: bridge.Refuse("busy", "it is")}
	r.Offered([]*bridge.Record{share})
	r.Bound(ref(2, 0), bridge.XMPP, bridge.KindRoom, "team@rooms.example.org", "")
	r.Settled([]bridge.Result{{Ref: ref(2, 0)}})
	numbers := func(q Query) (out []uint64) {
		for _, m := range r.find(q) {
			out = append(out, m.Number)
		}
		return out
	}
	for _, c := range []struct {
		q    Query
		want []uint64
	}{
		{Query{Text: "1001"}, []uint64{1, 2, 1001}}, // an id, a sender, a number
		{Query{Text: "1001", Limit: 1}, []uint64{1001}},
		{Query{Text: "1003", Limit: 2}, []uint64{2, 1001}},
		{Query{Text: "2.0"}, []uint64{2}},
		{Query{Text: odd}, []uint64{2}},
		{Query{Text: "team@rooms.example.org"}, []uint64{2}},
		{Query{Text: "100"}, nil},
		{Query{Text: "1009"}, []uint64{0, 0, 9}},
		{Query{Text: "1003", Since: time.Unix(1e9+3, 0)}, []uint64{1001}},
		{Query{Text: "1003", Until: time.Unix(1e9+1, 0)}, []uint64{1}},
	} {
		if got := numbers(c.q); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.q, got, c.want)
		}
	}
	for id, want := range map[string]string{"r": StateRefused, "b": StateNotTaken, "s": StateRefused} {
		if m := r.only(id); m.State != want || m.Stations[0].Reason == "" {
			t.Errorf("%+v, want %s", m, want)
		}
	}
	if m := r.only(odd); m.ID != odd || m.State != StateDelivered {
		t.Errorf("%+v", m)
	}
}

// TestWhen: a moment is an age or a time.
func TestWhen(t *testing.T) {
	now := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"": "0001-01-01T00:00:00Z", "2h": "2026-12-01T01:00:00Z", "2026-11-30": "2026-11-30T00:00:00Z", "2026-11-30T14:05": "2026-11-30T14:05:00Z",
		"2026-11-30T14:05:06": "2026-11-30T14:05:06Z", "2026-11-30T14:05:06.7+01:00": "2026-11-30T13:05:06Z",
		"-2h": "error", "0s": "error", "soon": "error", "2026-13-01": "error", "1001": "error",
	} {
		got := "error"
		if at, err := When(text, now); err == nil {
			got = at.UTC().Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestAfterwards: what the journal does to a delivery later is a station of it, and of nothing else.
func TestAfterwards(t *testing.T) {
	r := newRig(t, t.TempDir(), 1<<20)
	r.Offered([]*bridge.Record{taken(1, "a", "1001", "1002"), taken(2, "b", "1001", "1002"), taken(3, "c", "1001", "1002")})
	r.Settled([]bridge.Result{{Ref: ref(1, 0), Unproven: true}, {Ref: ref(2, 0), Unproven: true}, {Ref: ref(3, 0), Err: bridge.Refuse("gone", "it is")}})
	r.Happened(Proven, ref(1, 0))
	r.Bounced(ref(2, 0), bridge.Refuse("no_right", "it may not have arrived"))
	r.Happened(PutAway, ref(3, 0))
	for id, want := range map[string]string{"a": "taken unproven proven: delivered", "b": "taken unproven bounced: bounced", "c": "taken dead put away: dead letter"} {
		m, got := r.only(id), ""
		for _, s := range m.Stations {
			got += string(s.Event) + " "
		}
		if got = strings.TrimSpace(got) + ": " + m.State; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

// TestRefusedAnswer: a refusal's number is that of the notice about it.
func TestRefusedAnswer(t *testing.T) {
	r := newRig(t, t.TempDir(), 1<<20)
	r.Offered([]*bridge.Record{{Origin: bridge.MQTT, Outcome: bridge.OutcomeRefused, Names: bridge.Names{Number: 5}, From: "1001", Reason: "bad_to"}})
	for _, n := range []uint64{5, 6} {
		r.Bound(ref(n, 0), bridge.MQTT, bridge.KindNotice, "1001", "failed")
		r.Settled([]bridge.Result{{Ref: ref(n, 0)}})
	}
	if a, b := r.only("5"), r.only("6"); a.State != StateRefused || b.State != StateAnswer || b.From != "" {
		t.Errorf("%+v, %+v", a, b)
	}
}

// TestFiles: they stay within their limit, the oldest goes first; a torn end is survived; so is a full disk.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, parts*300)
	for n := range uint64(200) {
		r.Offered([]*bridge.Record{taken(n+1, "some id of the sender's", "1001", "1002")})
		r.flush()
	}
	found, err := numbers(dir)
	if err != nil || len(found) != parts {
		t.Fatalf("files %v, %v", found, err)
	}
	bytes := int64(0)
	for _, n := range found {
		info, err := os.Stat(name(dir, n))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info, err)
		}
		bytes += info.Size()
	}
	if bytes > parts*(300+100) {
		t.Errorf("%d bytes", bytes)
	}
	if len(r.find(Query{Text: "1"})) != 0 || len(r.find(Query{Text: "200"})) != 1 {
		t.Error("the oldest is there, or the newest is not")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	newest := name(dir, found[len(found)-1])
	f, err := os.OpenFile(newest, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("1000000000000\t9"); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	r = newRig(t, dir, parts*300)
	r.now = time.Now() // by which the files are too old an hour from now
	r.Settled([]bridge.Result{{Ref: ref(200, 0)}})
	if m := r.only("200"); m.State != StateDelivered || len(m.Stations) != 2 {
		t.Errorf("behind a torn line: %+v", m)
	}
	r.now = r.now.Add(2 * time.Hour)
	for range 10 {
		r.Offered([]*bridge.Record{taken(300, strings.Repeat("x", 2000), "1001", "1002")})
		r.flush()
	}
	if got, err := numbers(dir); err != nil || slices.Contains(got, found[len(found)-1]) {
		t.Errorf("too old, and still there: %v, %v", got, err)
	}
}

// TestReserve: what is written down gives way to the journal where the disk is nearly full, and goes on once it is not.
func TestReserve(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, parts*300)
	for n := range uint64(20) {
		r.Offered([]*bridge.Record{taken(n+1, "some id of the sender's", "1001", "1002")})
		r.flush()
	}
	files := func() int {
		found, err := numbers(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	before := files()
	r.files.free = func(string) (int64, error) { return reserve - int64(files()-before+2), nil } // two files are too many
	r.Unbound(ref(20, 0))
	if m := r.only("20"); len(m.Stations) != 2 || files() >= before || r.files.broken {
		t.Errorf("%d files of %d, %+v", files(), before, m)
	}
	r.files.free = func(string) (int64, error) { return 0, nil }
	r.Unbound(ref(20, 0))
	if found := r.find(Query{Text: "20"}); len(found) != 0 || files() != 0 || !r.files.broken {
		t.Errorf("%d files on a full disk, %v", files(), found)
	}
	r.files.free = free
	r.Unbound(ref(21, 0))
	if len(r.only("21").Stations) != 1 || r.files.broken {
		t.Error("it does not go on")
	}
}

// TestCannotWrite: what cannot be written is lost, and it goes on by itself.
func TestCannotWrite(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, 1<<20)
	if err := os.WriteFile(name(dir, 0), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	blocked := filepath.Join(dir, "blocked")
	r.files.dir = blocked // is not there
	r.Unbound(ref(1, 0))
	r.flush()
	if !r.files.broken {
		t.Error("it was written nowhere, and nothing is said")
	}
	r.files.dir = dir
	r.Unbound(ref(2, 0))
	if found := r.find(Query{Text: "2"}); len(found) != 1 || r.files.broken {
		t.Errorf("afterwards: %v", found)
	}
	if found := r.find(Query{Text: "1"}); len(found) != 0 {
		t.Errorf("what was lost: %v", found)
	}
}

// TestRun: it writes by itself, and what is left when it ends; without a size it does nothing.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	r.Offered([]*bridge.Record{taken(1, "a", "1001", "1002")})
	for {
		if found, err := Find(t.Context(), dir, Query{Text: "a"}); err != nil {
			t.Fatal(err)
		} else if len(found) == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.Unbound(ref(1, 0))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := Find(t.Context(), dir, Query{Text: "1"}); err != nil || len(found) != 1 || len(found[0].Stations) != 2 {
		t.Errorf("%v, %v", found, err)
	}
	none, err := Open(Options{Dir: dir})
	if none != nil || err != nil {
		t.Fatal(none, err)
	}
	none.Offered(nil)
	none.Bound(ref(1, 0), bridge.XMPP, bridge.KindChat, "1", "")
	none.Resumed(nil, bridge.XMPP)
	none.Unbound(ref(1, 0))
	none.Deferred(ref(1, 0), 0, "")
	none.Held(ref(1, 0), 0, "")
	none.Settled(nil)
	none.Bounced(ref(1, 0), nil)
	none.Happened(Dropped, ref(1, 0))
	if err := none.Close(); err != nil {
		t.Error(err)
	}
	if err := none.Run(ctx); err != nil {
		t.Error(err)
	}
}

// FuzzParse: a line that is read is written as it was.
func FuzzParse(f *testing.F) {
	f.Add("1000000000000\t12\t0\tbound\ts=xmpp\tk=chat\tt=1002")
	f.Add("1000000000000\t12\t-\ttaken\ti=\"a\\tb\"\tc=1\tw=x")
	f.Fuzz(func(t *testing.T, line string) {
		s, ok := parse([]byte(line))
		if n, numbered := numberOf([]byte(line)); ok && (!numbered || n != s.message) {
			t.Errorf("%q is of message %d, or of %d (%v)", line, s.message, n, numbered)
		}
		_ = s.Text()
	})
}

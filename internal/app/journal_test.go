package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
	"chatrelay/internal/journal"
	"chatrelay/internal/trace"
	"chatrelay/message"
)

// buried makes a journal with dead letters, one for each text, and gives their numbers.
func buried(t *testing.T, dir string, texts ...string) []bridge.Ref {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Sync: "os", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	var refs []bridge.Ref
	for _, text := range texts {
		rec := &bridge.Record{Origin: bridge.XMPP, From: "1001", Body: []byte(text), Keys: []message.Key{message.WireKey(text)},
			Deliveries: []bridge.Delivery{{Side: bridge.MQTT, Kind: bridge.KindInbox, To: "1002", Lane: "a"}}}
		if err := j.Append(t.Context(), []*bridge.Record{rec}); err != nil {
			t.Fatal(err)
		}
		out, err := j.Next(t.Context(), bridge.MQTT)
		if err != nil {
			t.Fatal(err)
		}
		j.Settle(bridge.Result{Ref: out.Ref, Err: bridge.Refuse("too_large", "it does not fit")})
		refs = append(refs, out.Ref)
	}
	return refs
}

// command runs a subcommand on a journal.
func command(dir, http string, args ...string) (string, error) {
	var out strings.Builder
	err := Journal(Process{Args: args, Environ: []string{"CHATRELAY_STORE=" + dir, "CHATRELAY_HTTP_ADDR=" + http}, Out: &out, Err: &out})
	return out.String(), err
}

const nobody = "127.0.0.1:1" // no relay answers here

func TestJournalLooks(t *testing.T) {
	dir := t.TempDir()
	refs := buried(t, dir, "first", "second")
	out, err := command(dir, nobody, "ls", "-dead")
	if err != nil || strings.Count(out, "\n") != 3 || !strings.Contains(out, refs[0].String()) || !strings.Contains(out, "too_large: it does not fit") {
		t.Errorf("ls: %v\n%s", err, out)
	}
	if out, err := command(dir, nobody, "ls", "-pending"); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("ls -pending: %v\n%s", err, out)
	}
	if strings.Contains(out, "first") {
		t.Error("ls shows content")
	}
	for _, number := range []string{fmt.Sprint(refs[1].Msg), refs[1].String()} {
		if out, err := command(dir, nobody, "show", number); err != nil || !strings.Contains(out, "\nsecond\n") {
			t.Errorf("show %s: %v\n%s", number, err, out)
		}
	}
}

func TestJournalChangesAStoppedJournal(t *testing.T) {
	dir := t.TempDir()
	refs := buried(t, dir, "a", "b", "c")
	if out, err := command(dir, nobody, "requeue", refs[0].String()); err != nil || out != "requeue: 1\n" {
		t.Fatalf("requeue: %v %s", err, out)
	}
	if out, err := command(dir, nobody, "drop", refs[1].String()); err != nil || out != "drop: 1\n" {
		t.Fatalf("drop: %v %s", err, out)
	}
	if out, err := command(dir, nobody, "ls", "-dead"); err != nil || strings.Count(out, "\n") != 2 || !strings.Contains(out, refs[2].String()) {
		t.Errorf("ls -dead: %v\n%s", err, out)
	}
	if out, err := command(dir, nobody, "ls", "-pending"); err != nil || !strings.Contains(out, refs[0].String()) {
		t.Errorf("ls -pending: %v\n%s", err, out)
	}
	if _, err := command(dir, nobody, "requeue", refs[1].String()); ExitCode(err) != ExitFailure {
		t.Errorf("a dropped dead letter was requeued: %v", err)
	}
	if out, err := command(dir, nobody, "drop", "-all"); err != nil || out != "drop: 1\n" {
		t.Errorf("drop -all: %v %s", err, out)
	}
	for i, want := range []trace.Event{trace.Requeued, trace.Dropped, trace.Dropped} {
		found, err := trace.Find(t.Context(), dir, trace.Query{Text: refs[i].String()})
		if err != nil || len(found) != 1 || len(found[0].Stations) != 1 || found[0].Stations[0].Event != want {
			t.Errorf("the trace of %v: %v, %+v, want %s", refs[i], err, found, want)
		}
	}
}

// A running relay owns the journal: it is asked.
func TestJournalAsksTheRelay(t *testing.T) {
	dir := t.TempDir()
	refs := buried(t, dir, "a", "b")
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	page := pageOf(t, j)
	if out, err := command(dir, page, "drop", refs[0].String()); err != nil || out != "drop: 1\n" {
		t.Errorf("drop: %v %s", err, out)
	}
	if out, err := command(dir, page, "requeue", refs[1].String()); err != nil || out != "requeue: 1\n" {
		t.Errorf("requeue: %v %s", err, out)
	}
	if _, err := command(dir, page, "drop", "9.9"); ExitCode(err) != ExitFailure || !strings.Contains(err.Error(), admin.ErrNoDeadLetter.Error()) {
		t.Errorf("an unknown dead letter: %v", err)
	}
	if out, err := command(dir, page, "drop", "-reason", "gone"); err != nil || out != "drop: 0\n" {
		t.Errorf("drop -reason: %v %s", err, out)
	}
	if n, _ := j.DeadLetters(); n != 0 || j.Totals().Pending[bridge.XMPP] != 1 {
		t.Errorf("%d dead, %d pending", n, j.Totals().Pending[bridge.XMPP])
	}
	if err := alive(j); err != nil {
		t.Errorf("alive: %v", err)
	}
	found, err := deadLetters{j, nil}.DeadLetters(t.Context(), 10)
	if err != nil || len(found) != 0 {
		t.Errorf("dead letters: %v %v", found, err)
	}
}

func TestJournalUsage(t *testing.T) {
	dir := t.TempDir()
	buried(t, dir, "a")
	for _, args := range [][]string{{}, {"list"}, {"ls", "x"}, {"ls", "-limit", "0"}, {"ls", "-nonsense"}, {"show"}, {"show", "x"}, {"drop"}, {"requeue", "1"}, {"drop", "0.0"},
		{"drop", "-all", "1.0"}, {"drop", "-all", "-to", "1002"}, {"drop", "-reason", ""}, {"drop", "-older", "soon"}, {"drop", "-older", "-1h"}, {"requeue", "-nonsense"}} {
		if _, err := command(dir, nobody, args...); ExitCode(err) != ExitConfiguration {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := command("memory", nobody, "ls"); ExitCode(err) != ExitConfiguration {
		t.Errorf("memory: %v", err)
	}
	if _, err := command(t.TempDir(), nobody, "ls"); ExitCode(err) != ExitFailure {
		t.Errorf("no journal: %v", err)
	}
	if _, err := command(dir, nobody, "show", "77"); ExitCode(err) != ExitFailure {
		t.Errorf("no dead letter: %v", err)
	}
}

// Many are changed by what they have in common: beside a running relay, and without one.
func TestJournalChangesSome(t *testing.T) {
	dir := t.TempDir()
	texts := make([]string, 600) // more than two batches
	for i := range texts {
		texts[i] = fmt.Sprint("text ", i)
	}
	buried(t, dir, texts...)
	for _, args := range [][]string{{"-reason", "gone"}, {"-sender", "1002"}, {"-to", "1001"}, {"-older", "1h"}, {"-reason", "too_large", "-to", "1001"}} {
		if out, err := command(dir, nobody, append([]string{"drop"}, args...)...); err != nil || out != "drop: 0\n" {
			t.Errorf("drop %q: %v %s", args, err, out)
		}
		if out, err := command(dir, nobody, append([]string{"ls", "-dead"}, args...)...); err != nil || strings.Count(out, "\n") != 1 {
			t.Errorf("ls %q: %v %s", args, err, out)
		}
	}
	if out, err := command(dir, nobody, "requeue", "-sender", "1001", "-reason", "too_large"); err != nil || out != "requeue: 600\n" {
		t.Fatalf("requeue: %v %s", err, out)
	}
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	for range texts {
		out, err := j.Next(t.Context(), bridge.MQTT)
		if err != nil {
			t.Fatal(err)
		}
		j.Settle(bridge.Result{Ref: out.Ref, Err: bridge.Refuse("gone", "no")})
	}
	page := pageOf(t, j)
	if out, err := command(dir, page, "drop", "-older", "1ns", "-to", "1002", "-reason", "gone", "-sender", "1001"); err != nil || out != "drop: 600\n" {
		t.Errorf("drop: %v %s", err, out)
	}
	if out, err := command(dir, page, "drop", "-all"); err != nil || out != "drop: 0\n" {
		t.Errorf("drop -all: %v %s", err, out)
	}
	if n, _ := j.DeadLetters(); n != 0 {
		t.Errorf("%d are dead", n)
	}
}

// pageOf serves a journal's status page and gives its address.
func pageOf(t *testing.T, j *journal.Journal) string { return guardedPage(t, j, nil) }

func guardedPage(t *testing.T, j *journal.Journal, token func() (string, error)) string {
	t.Helper()
	page, err := admin.New(admin.Config{Token: token, Addr: "127.0.0.1:0", Loopback: true, Balance: j, Offers: offers{}, Dead: deadLetters{j, nil}, Timings: admin.NewTimings(),
		Alive: func() error { return alive(j) }, Clock: time.Now, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- page.Run(ctx) }() // waited for below
	t.Cleanup(func() {
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return page.Addr()
}

// The commands on the relay's own machine go by the token of their environment, where the page asks for one.
func TestCommandsWithToken(t *testing.T) {
	dir := t.TempDir()
	refs := buried(t, dir, "a")
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	page := guardedPage(t, j, func() (string, error) { return "sesame", nil })
	if _, err := command(dir, page, "drop", refs[0].String()); err == nil || !strings.Contains(err.Error(), "CHATRELAY_HTTP_TOKEN") {
		t.Errorf("without the token: %v", err)
	}
	run := func(do func(Process) error, args ...string) (string, error) {
		var out strings.Builder
		err := do(Process{Args: args, Out: &out, Err: &out,
			Environ: []string{"CHATRELAY_STORE=" + dir, "CHATRELAY_HTTP_ADDR=" + page, "CHATRELAY_HTTP_TOKEN=sesame"}})
		return out.String(), err
	}
	if out, err := run(Journal, "drop", refs[0].String()); err != nil || out != "drop: 1\n" {
		t.Errorf("drop: %v %s", err, out)
	}
	if out, err := run(Health); err != nil || out != "alive\n" {
		t.Errorf("health: %v %s", err, out)
	}
}

// A journal is looked over and copied, and the copy is one, too.
func TestJournalCopies(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	refs := buried(t, dir, "first", "second")
	if out, err := command(dir, nobody, "verify"); err != nil || !strings.Contains(out, ": ok.") || !strings.Contains(out, "dead letters: 2") {
		t.Errorf("verify: %v %s", err, out)
	}
	if out, err := command(dir, nobody, "backup", to); err != nil || !strings.Contains(out, to) || !strings.Contains(out, "Restore") {
		t.Errorf("backup: %v %s", err, out)
	}
	if _, err := command(dir, nobody, "backup", to); ExitCode(err) != ExitFailure || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a second backup: %v", err)
	}
	if out, err := command(to, nobody, "verify"); err != nil {
		t.Errorf("verify of the copy: %v %s", err, out)
	}
	if out, err := command(to, nobody, "ls", "-dead"); err != nil || !strings.Contains(out, refs[1].String()) {
		t.Errorf("ls of the copy: %v %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(to, "book.lock"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(to, nobody, "verify"); ExitCode(err) != ExitFailure || !strings.Contains(out, "wrong: ") {
		t.Errorf("verify of what does not fit: %v %s", err, out)
	}
	for _, args := range [][]string{{"verify", "x"}, {"backup"}, {"backup", ""}, {"backup", to, to}} {
		if _, err := command(dir, nobody, args...); ExitCode(err) != ExitConfiguration {
			t.Errorf("%q: %v", args, err)
		}
	}
	for _, verb := range []string{"verify", "backup"} {
		if out, err := command(dir, nobody, verb, "-h"); err != nil || !strings.Contains(out, "exit code") {
			t.Errorf("%s -h: %v %s", verb, err, out)
		}
	}
}

package journal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"

	"github.com/google/go-cmp/cmp"
)

func TestOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder 100%?#")
	b := openTest(t, options(dir))
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	if _, err := Open(t.Context(), options(dir)); !errors.Is(err, sqlite.ErrLocked) {
		t.Fatalf("the second opener got %v", err)
	}
	b.want(direct(bridge.XMPP, "1001", "1002", "b"), bridge.OutcomeTaken)
	b = b.reopen(options(dir))
	b.wantCount(received, bridge.XMPP, "", 2)
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"sync":   {Sync: "never"},
		"bytes":  {MaxBytes: -1},
		"window": {DedupWindow: -1},
		"keys":   {DedupMaxKeys: -1},
	} {
		if _, err := Open(t.Context(), o); err == nil {
			t.Errorf("%s: a wrong option was taken", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("open with an ended context: %v", err)
	}
}

// What is no sound journal gives an error and is left as it is.
func TestDamaged(t *testing.T) {
	journal := func(dir string) string { return filepath.Join(dir, sqlite.FileName) }
	change := func(t *testing.T, dir string, f func([]byte) []byte) {
		b, err := os.ReadFile(journal(dir))
		if err == nil {
			err = os.WriteFile(journal(dir), f(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(t *testing.T, dir string, queries ...string) {
		db := rawDB(t, dir, sqlite.FileName)
		var err error
		for _, q := range queries {
			if err == nil {
				_, err = db.Exec(q)
			}
		}
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for name, do := range map[string]func(t *testing.T, dir string){
		"gone":      func(t *testing.T, dir string) { must(t, os.Remove(journal(dir))) },
		"empty":     func(t *testing.T, dir string) { must(t, os.WriteFile(journal(dir), nil, 0o600)) },
		"zeros":     func(t *testing.T, dir string) { change(t, dir, func(b []byte) []byte { return make([]byte, len(b)) }) },
		"text":      func(t *testing.T, dir string) { must(t, os.WriteFile(journal(dir), []byte("no such thing"), 0o600)) },
		"short":     func(t *testing.T, dir string) { change(t, dir, func(b []byte) []byte { return b[:len(b)/2] }) },
		"head only": func(t *testing.T, dir string) { change(t, dir, func(b []byte) []byte { return b[:16] }) },
		"rubbish": func(t *testing.T, dir string) {
			change(t, dir, func(b []byte) []byte {
				for i := 100; i < len(b); i++ {
					b[i] ^= 0xa5
				}
				return b
			})
		},
		"foreign": func(t *testing.T, dir string) {
			must(t, os.Remove(journal(dir)))
			run(t, dir, "CREATE TABLE t (x)")
		},
		"newer": func(t *testing.T, dir string) { run(t, dir, "PRAGMA user_version = 99") },
		"older": func(t *testing.T, dir string) { run(t, dir, "PRAGMA user_version = 0") },
		"no table": func(t *testing.T, dir string) {
			run(t, dir, "DROP TABLE seen")
		},
		"no stamp": func(t *testing.T, dir string) { run(t, dir, "DELETE FROM meta") },
		"no message": func(t *testing.T, dir string) {
			run(t, dir, "DELETE FROM messages")
		},
		"odd keys": func(t *testing.T, dir string) { run(t, dir, "UPDATE seen SET keys = x'0102'") },
		"odd note": func(t *testing.T, dir string) { run(t, dir, "UPDATE legs SET note = '{'") },
		"odd side": func(t *testing.T, dir string) { run(t, dir, "UPDATE legs SET side = 7") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := openTest(t, options(dir))
			b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
			b.want(direct(bridge.MQTT, "1001", "1002", "b"), bridge.OutcomeTaken)
			b.end()
			do(t, dir)
			before, _ := os.ReadFile(journal(dir))
			for range 2 {
				j, err := Open(t.Context(), options(dir))
				if err == nil {
					t.Fatal("it was opened", j.Close())
				}
				want := errors.Is(err, ErrDamaged)
				if name == "newer" {
					want = !want && strings.Contains(err.Error(), "newer chatrelay")
				}
				if !want && name != "no table" {
					t.Errorf("the error is %q", err)
				}
			}
			if after, _ := os.ReadFile(journal(dir)); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A process that was stopped while it made a new journal begins anew: there was nothing yet.
func TestUnfinishedBirth(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, sqlite.FileName+".new"), []byte("half a fi"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, sqlite.FileName+".new-journal"), []byte("x"), 0o600))
	b := openTest(t, options(dir))
	b.want(direct(bridge.XMPP, "1001", "1002", "a"), bridge.OutcomeTaken)
	b.end()
	// Between the new file's name and the journal's id in the lock file.
	must(t, os.Truncate(filepath.Join(dir, sqlite.LockName), 0))
	b = openTest(t, options(dir))
	b.wantCount(received, bridge.XMPP, "", 1)
	b.end()
	must(t, os.Remove(filepath.Join(dir, sqlite.FileName)))
	if _, err := Open(t.Context(), options(dir)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a folder whose journal is gone was taken for new: %v", err)
	}
}

// A power cut must not take the folder of a first journal away with what was acknowledged: each folder on the way to it
// is synced, for any of them may be new.
func TestParentsAreSynced(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	dir := filepath.Join(root, "new", "folder")
	h, err := sqlite.LockFolder(dir)
	must(t, err)
	var synced []string
	h.Sync = func(dir string) error {
		synced = append(synced, dir)
		if dir == filepath.Dir(root) {
			return &os.PathError{Op: "open", Path: dir, Err: os.ErrPermission} // not ours, and so not new
		}
		return nil
	}
	must(t, h.Prepare())
	must(t, h.Unlock())
	var want []string
	for at := dir; at != filepath.Dir(at); {
		at = filepath.Dir(at)
		want = append(want, at)
	}
	want = append(want, dir, dir) // of the log, and of the tables
	if diff := cmp.Diff(want, synced); diff != "" {
		t.Error(diff)
	}
	h, err = sqlite.LockFolder(filepath.Join(root, "another"))
	must(t, err)
	broken := errors.New("the disk is gone")
	h.Sync = func(dir string) error {
		if dir == root {
			return broken
		}
		return nil
	}
	if err := h.Prepare(); !errors.Is(err, broken) {
		t.Errorf("got %v, want what the parent's sync said", err)
	}
	must(t, h.Unlock())
}

// The tables of one time and the log of another, in which the same numbers stand for something else.
func TestFilesOfDifferentTimes(t *testing.T) {
	first := t.TempDir()
	b := openTest(t, options(first))
	b.live(1)
	b.end()
	other := copyFolder(t, first)
	b = openTest(t, options(first))
	b.live(2)
	b.end()
	b = openTest(t, options(other))
	b.live(3)
	b.live(4)
	killed := copyFolder(t, other)
	b.end()
	for _, name := range []string{sqlite.LogName, sqlite.LogName + "-wal"} {
		data, err := os.ReadFile(filepath.Join(killed, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(first, name), data, 0o600))
	}
	if j, err := Open(t.Context(), options(first)); !errors.Is(err, ErrDamaged) {
		t.Errorf("they are believed: %v", err)
		must(t, j.Close())
	}
}

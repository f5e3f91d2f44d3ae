package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/test/sqlfault"
)

// names tells which files a folder holds, but for its lock and the log.
func names(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var found []string
	for _, e := range entries {
		if e.Name() != sqlite.LockName && !strings.HasPrefix(e.Name(), sqlite.LogName) {
			found = append(found, e.Name())
		}
	}
	return strings.Join(found, " ")
}

// The folder of an earlier version has the file under the new name, and all that was in its log.
func TestTakeOverOf3f1b3b0(t *testing.T) {
	dir := oldFolder(t)
	lockID, err := os.ReadFile(filepath.Join(dir, sqlite.LockName))
	must(t, err)
	look := func() {
		r, err := OpenReadOnly(dir)
		must(t, err)
		if found, err := r.List(t.Context(), Filter{}); err != nil || len(found) != 15 {
			t.Errorf("%d deliveries (%v), want 15", len(found), err)
		}
		must(t, r.Close())
	}
	look()
	b := openTest(t, oldOptions(dir))
	look()
	b.end()
	if got := names(t, dir); got != "journal.db" {
		t.Errorf("the folder holds %s", got)
	}
	look()
	if got, err := os.ReadFile(filepath.Join(dir, "book.lock")); err != nil || string(got) != string(lockID) || len(got) == 0 {
		t.Errorf("the stamp is %q (%v), was %q", got, err, lockID)
	}
}

// A process that ends anywhere in it leaves one file, under one of the names, from which the next one goes on. With the
// new name it leaves the id, too: with that, and without its own file, an earlier version does not start.
func TestTakeOverStopsAnywhere(t *testing.T) {
	want := openTest(t, oldOptions(oldFolder(t))).picture()
	f, driver := sqlfault.New(t)
	dir := oldFolder(t)
	must(t, os.Truncate(filepath.Join(dir, sqlite.LockName), 0)) // the earlier version ended before it had written the id
	h, err := sqlite.LockFolder(dir)
	must(t, err)
	var copies []string
	stop := func() { copies = append(copies, copyFolder(t, dir)) }
	f.Set(func(string, bool) error { stop(); return nil })
	h.Sync = func(string) error { stop(); return nil }
	h.Use(driver, "")
	must(t, h.Prepare())
	stop()
	f.Set(nil)
	must(t, h.Unlock())
	states := map[string]bool{}
	for i, dir := range copies {
		left := names(t, dir)
		if info, err := os.Stat(filepath.Join(dir, sqlite.OldName+"-wal")); err == nil && info.Size() == 0 {
			left += " (empty)"
		}
		states[left] = true
		if lockID, err := os.ReadFile(filepath.Join(dir, sqlite.LockName)); left == sqlite.FileName && (err != nil || len(lockID) == 0) {
			t.Errorf("stop %d: the new name without the stamp (%v)", i, err)
		}
		b := openTest(t, oldOptions(dir))
		if got := b.picture(); got != want {
			t.Errorf("stop %d, %s:\n%s\nwant\n%s", i, left, got, want)
		}
		b.end()
		if got := names(t, dir); got != sqlite.FileName {
			t.Errorf("stop %d, %s: now it holds %s", i, left, got)
		}
	}
	for _, state := range []string{"book.db book.db-wal", "book.db book.db-wal (empty)", "book.db", "journal.db"} {
		if !states[state] {
			t.Errorf("no stop with %s", state)
		}
		delete(states, state)
	}
	if len(states) > 0 {
		t.Errorf("stops with %v", states)
	}
}

// While a file cannot be taken over it is served under its old name.
func TestTakeOverWaits(t *testing.T) {
	dir := oldFolder(t)
	r, err := OpenReadOnly(dir) // its connection stays
	must(t, err)
	b := openTest(t, oldOptions(dir))
	want := b.picture()
	if got := names(t, dir); !strings.HasPrefix(got, "book.db ") || strings.Contains(got, sqlite.FileName) {
		t.Errorf("while somebody looks the folder holds %s", got)
	}
	must(t, r.Close())

	f, driver := sqlfault.New(t)
	full := sqlfault.NoRoom(t)
	f.Set(func(q string, ran bool) error {
		if strings.Contains(q, "wal_checkpoint(TRUNCATE)") && !ran {
			r, err = OpenReadOnly(dir) // holds the log, as the full disk would
			must(t, err)
			return full
		}
		return nil
	})
	o := oldOptions(dir)
	o.driver = driver
	b = b.reopen(o)
	f.Set(nil)
	if got := b.picture(); got != want {
		t.Errorf("on a full disk:\n%s\nwant\n%s", got, want)
	}
	must(t, r.Close())
	b = b.reopen(oldOptions(dir))
	if got := b.picture(); got != want {
		t.Errorf("taken over:\n%s\nwant\n%s", got, want)
	}
	b.end()
	if got := names(t, dir); got != sqlite.FileName {
		t.Errorf("the folder holds %s", got)
	}
}

// What is no sound journal is neither renamed nor taken for none.
func TestTakeOverRefuses(t *testing.T) {
	for name, do := range map[string]func(dir string) error{
		"both": func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, sqlite.OldName))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, sqlite.FileName), b, 0o600))
		},
		"empty": func(dir string) error { return os.WriteFile(filepath.Join(dir, sqlite.OldName), nil, 0o600) },
		"gone":  func(dir string) error { return os.Remove(filepath.Join(dir, sqlite.OldName)) },
		"log only": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, sqlite.OldName)), os.Truncate(filepath.Join(dir, sqlite.LockName), 0))
		},
	} {
		dir := oldFolder(t)
		must(t, do(dir))
		before := names(t, dir)
		if _, err := Open(t.Context(), oldOptions(dir)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if after := names(t, dir); after != before {
			t.Errorf("%s: the folder holds %s, held %s", name, after, before)
		}
		if _, err := OpenReadOnly(dir); err == nil {
			t.Errorf("%s: it was opened for looking", name)
		}
	}
}

// Who only looks changes nothing: to SQLite an emptied file is a new database, whose log it removes as a leftover.
func TestLookAtEmptied(t *testing.T) {
	o := options(t.TempDir())
	b := openTest(t, o)
	b.append(direct(bridge.XMPP, "1001", "1002", "a"))
	dir := copyFolder(t, o.Dir) // with its log
	log := filepath.Join(dir, sqlite.FileName+"-wal")
	before, err := os.Stat(log)
	must(t, err)
	must(t, os.Truncate(filepath.Join(dir, sqlite.FileName), 0))
	if r, err := OpenReadOnly(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
		must(t, r.Close())
	}
	if after, err := os.Stat(log); err != nil || after.Size() != before.Size() {
		t.Errorf("the log: %v", err)
	}
}

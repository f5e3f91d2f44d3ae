package powercut

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func syncPath(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// What was synced is there after a cut, content, size and entry.
func TestSyncedStays(t *testing.T) {
	d := Mount(t, "")
	want := bytes.Repeat([]byte("0123456789"), 1000)
	sub := filepath.Join(d.Path(), "store")
	must(t, os.Mkdir(sub, 0o700))
	must(t, os.WriteFile(filepath.Join(sub, "draft"), want, 0o600))
	syncPath(t, filepath.Join(sub, "draft"))
	must(t, os.Rename(filepath.Join(sub, "draft"), filepath.Join(sub, "book")))
	syncPath(t, sub)
	syncPath(t, d.Path())
	left := t.TempDir()
	if loss := d.Cut(left); loss != (Loss{}) {
		t.Errorf("lost %+v", loss)
	}
	d.Unmount()
	for _, root := range []string{left, Mount(t, left).Path()} { // and so it is on the disk that is made of it
		got, err := os.ReadFile(filepath.Join(root, "store", "book"))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes, not the %d that were synced", len(got), len(want))
		}
	}
}

// The tool bites: about half of what was not synced is gone, and what a sector held before comes back.
func TestUnsyncedGoes(t *testing.T) {
	before, after := bytes.Repeat([]byte{'a'}, 100*sector), bytes.Repeat([]byte{'b'}, 100*sector)
	from := t.TempDir()
	must(t, os.WriteFile(filepath.Join(from, "f"), before, 0o600))
	d := Mount(t, from)
	f, err := os.OpenFile(filepath.Join(d.Path(), "f"), os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt(after, 0)
	must(t, err)
	left := t.TempDir()
	loss := d.Cut(left)
	got, err := os.ReadFile(filepath.Join(left, "f"))
	must(t, err)
	if n := bytes.Count(got, []byte{'a'}); n != loss.Sectors*sector || loss.Sectors < 20 || loss.Sectors > 80 || len(got) != len(before) {
		t.Errorf("%d bytes of before in %d, lost %+v; want about half of 100 sectors", n, len(got), loss)
	}
	_, err = f.WriteAt(after, 0)
	if err == nil {
		err = f.Sync()
	}
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("written without power: %v", err)
	}
	must(t, ignoreIO(f.Close()))
}

func ignoreIO(err error) error {
	if errors.Is(err, syscall.EIO) {
		return nil
	}
	return err
}

// A synced file whose folder was not synced may be gone.
func TestEntriesGo(t *testing.T) {
	d := Mount(t, "")
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		must(t, os.WriteFile(filepath.Join(d.Path(), name), []byte(name), 0o600))
		syncPath(t, filepath.Join(d.Path(), name))
	}
	gone := 0
	for range 20 {
		left := t.TempDir()
		loss := d.Cut(left)
		list, err := os.ReadDir(left)
		must(t, err)
		if len(list)+loss.Entries != 8 {
			t.Errorf("%d entries, %d lost", len(list), loss.Entries)
		}
		gone += loss.Entries
	}
	if gone == 0 || gone == 160 {
		t.Errorf("%d of 160 entries are gone", gone)
	}
}

package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLog(t *testing.T) {
	f := folderOf(t.TempDir(), "")
	l := newLog(t, f, 7)
	l.fill(t, 300)
	l.check(t, 8, 300, 300)
	l.check(t, 250, 300, 300)
	if err := l.Append(302, nil); err == nil {
		t.Error("a frame was left out")
	}
	piece, err := l.Piece(t.Context(), 20, 6, 9)
	if must(t, err); !bytes.Equal(piece, frameOf(20)[6:15]) {
		t.Errorf("a piece is %q", piece)
	}
	if _, err := l.Piece(t.Context(), 20, 6, 99999); !errors.Is(err, ErrDamaged) {
		t.Errorf("a piece beyond the end: %v", err)
	}
	must(t, l.Append(301, nil))
	must(t, l.Close())
	l = openLog(t, f, 301)
	l.check(t, 8, 301, 301)
	must(t, l.Append(302, frameOf(302)))
	l.check(t, 302, 302, 302)
}

// What was cut goes with the frames that come, few with each; the newest stays. The room is used again, and given back.
func TestCut(t *testing.T) {
	f := folderOf(t.TempDir(), "")
	l := newLog(t, f, 0)
	l.fill(t, 2000)
	full, err := l.Room()
	must(t, err)
	l.Cut(5000)
	for n := uint64(2001); n <= 2040; n++ {
		first := l.first
		if must(t, l.Append(n, frameOf(n))); l.first-first > cutRows || l.first == first && first < 2000 {
			t.Fatalf("from %d to %d with one frame", first, l.first)
		}
	}
	l.check(t, 2000, 2040, 2040)
	if l.first != 2000 {
		t.Errorf("it begins with %d", l.first)
	}
	for range 20 {
		must(t, l.Vacuum())
	}
	info, err := os.Stat(filepath.Join(f.dir, LogName))
	must(t, err)
	if room, err := l.Room(); err != nil || room > full/2 || info.Size() > full/2+spare*4096 {
		t.Errorf("%d bytes of %d are in use, the file has %d (%v)", room, full, info.Size(), err)
	}
	must(t, l.Close())
	openLog(t, f, 2000)
	if _, err := OpenLog(f, journal, Position{N: 1999}, true); !errors.Is(err, ErrDamaged) {
		t.Errorf("the tables stand on a frame that was cut: %v", err)
	}
	if _, err := OpenLog(f, journal, Position{N: 2041}, true); !errors.Is(err, ErrDamaged) {
		t.Errorf("the tables stand on a frame that never came: %v", err)
	}
}

// Where frames are not synced a power cut may take frames that the tables have: the log goes on behind what they have.
func TestUnsyncedEndIsLost(t *testing.T) {
	for _, synced := range []bool{false, true} {
		f := folderOf(t.TempDir(), "")
		newLog(t, f, 0)
		l, err := OpenLog(f, journal, Position{N: 0}, synced)
		must(t, err)
		l.fill(t, 20)
		must(t, run(l.conn, "DELETE FROM log WHERE n > 12")) // as far as the disk had it
		must(t, l.Close())
		l, err = OpenLog(f, journal, Position{N: 15}, true)
		if synced {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("synced, and frames are gone: %v", err)
			}
			continue
		}
		must(t, err)
		must(t, l.Append(16, frameOf(16)))
		l.check(t, 16, 16, 16)
		must(t, l.Close())
		openLog(t, f, 15).check(t, 15, 16, 16)
	}
}

// Some files are not the log.
func TestForeignLogs(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"gone":        os.Remove,
		"empty":       func(path string) error { return os.Truncate(path, 0) },
		"not a log":   func(path string) error { return os.WriteFile(path, []byte("what is this?"), 0o600) },
		"half of one": func(path string) error { return os.Truncate(path, 4096) },
	} {
		f := folderOf(t.TempDir(), "")
		l := newLog(t, f, 0)
		l.fill(t, 20)
		must(t, l.Close())
		must(t, spoil(filepath.Join(f.dir, LogName)))
		if _, err := OpenLog(f, journal, Position{N: 0}, true); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := folderOf(t.TempDir(), "")
	must(t, newLog(t, f, 0).Close())
	if _, err := OpenLog(f, "another", Position{N: 0}, true); !errors.Is(err, ErrDamaged) {
		t.Errorf("another journal's: %v", err)
	}
	db, conn, err := openWrite("sqlite", dsn(filepath.Join(f.dir, LogName), nil))
	must(t, err)
	must(t, run(conn, "PRAGMA user_version = 2"))
	must(t, errors.Join(conn.Close(), db.Close()))
	if _, err := OpenLog(f, journal, Position{N: 0}, true); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("a newer one: %v", err)
	}
}

// A row that is missing, or is not what was written, is damage.
func TestBadRows(t *testing.T) {
	for _, q := range []string{
		"DELETE FROM log WHERE n = 10",
		"UPDATE log SET frame = substr(frame, 2) WHERE n = 10",
		"UPDATE log SET sum = sum + 4294967296 WHERE n = 10",
		"UPDATE log SET n = 1000 WHERE n = 20",
	} {
		f := folderOf(t.TempDir(), "")
		l := newLog(t, f, 0)
		l.fill(t, 20)
		must(t, run(l.conn, q))
		nothing := func(uint64, []byte) error { return nil }
		if err := l.Read(1, nothing); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", q, err)
		}
		must(t, l.Close())
	}
}

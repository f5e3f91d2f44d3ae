package sqlite

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"chatrelay/test/powercut"
	"chatrelay/test/sqlfault"
)

// appendFrames appends, cuts and vacuums. It goes on until something is not done, and tells how far it came.
func (l *Log) appendFrames(to uint64, appended func(n uint64)) error {
	for n := l.Last() + 1; n <= to; n++ {
		if n%5 == 0 {
			l.Cut(n - 3)
		}
		if err := l.Append(n, frameOf(n)); err != nil {
			return err
		}
		appended(n)
		if n%4 == 0 {
			if err := l.Vacuum(); err != nil {
				return err
			}
		}
	}
	return nil
}

// stands is the frame that the tables stand on: one that appendFrames has not cut, the frame after the last one that was done included.
func stands(done uint64) uint64 { return max(3, (done+1)/5*5) - 3 }

// TestStopAnywhere stops the process before and after each statement.
func TestStopAnywhere(t *testing.T) {
	faults, driver := sqlfault.New(t)
	f := folderOf(t.TempDir(), driver)
	l := newLog(t, f, 0)
	type left struct {
		at   string
		dir  *Folder
		done uint64
	}
	var copies []left
	done := uint64(0)
	faults.Set(func(q string, ran bool) error {
		copies = append(copies, left{fmt.Sprint(q, ran), copyLog(t, f.dir), done})
		return nil
	})
	must(t, l.appendFrames(20, func(n uint64) { done = n }))
	faults.Set(nil)
	for _, c := range copies {
		l, err := OpenLog(c.dir, journal, Position{N: stands(c.done)}, true)
		if err != nil {
			t.Fatalf("stopped at %s, after frame %d: %v", c.at, c.done, err)
		}
		l.check(t, stands(c.done)+1, c.done, c.done+1)
		must(t, l.appendFrames(22, func(uint64) {}))
		must(t, l.Close())
	}
}

// TestNoRoomAnywhere has the disk full at one statement: the frame may be tried again, and nothing is lost or there twice.
func TestNoRoomAnywhere(t *testing.T) {
	lacking := sqlfault.NoRoom(t)
	for _, ran := range []bool{false, true} {
		for n, hit := 1, true; hit; n++ {
			faults, driver := sqlfault.New(t)
			f := folderOf(t.TempDir(), driver)
			l := newLog(t, f, 0)
			hit = false
			seen, open := 0, false
			faults.Set(func(q string, after bool) error {
				switch verb, _, _ := strings.Cut(q, " "); verb {
				case "BEGIN":
					open = true
				case "COMMIT", "ROLLBACK":
					open = open && !after
				}
				if q == "ROLLBACK" || after != ran || after && !open {
					return nil // what is done cannot fail any more
				}
				if seen++; seen != n {
					return nil
				}
				hit = true
				return lacking
			})
			for l.Last() < 12 {
				if err := l.appendFrames(12, func(uint64) {}); err != nil && !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
			}
			faults.Set(nil)
			l.check(t, 8, 12, 12)
			must(t, l.Close())
			l = openLog(t, f, 7)
			l.check(t, 8, 12, 12)
			must(t, l.Close())
		}
	}
}

// After an error that is not want of room nothing is tried again: what the disk has nobody knows.
func TestBrokenDisk(t *testing.T) {
	faults, driver := sqlfault.New(t)
	f := folderOf(t.TempDir(), driver)
	l := newLog(t, f, 0)
	l.fill(t, 10)
	broken, statements := errors.New("input/output error"), 0
	faults.Set(func(q string, ran bool) error {
		if !ran {
			return nil
		}
		statements++
		return broken // it was written, and the sync failed
	})
	for range 3 {
		if err := l.Append(11, frameOf(11)); !errors.Is(err, broken) || errors.Is(err, ErrFull) {
			t.Errorf("%v", err)
		}
	}
	if err := l.Vacuum(); !errors.Is(err, broken) {
		t.Errorf("tidied up: %v", err)
	}
	if statements != 1 {
		t.Errorf("%d statements were run, want the one that failed", statements)
	}
	faults.Set(nil)
	must(t, l.Close())
	openLog(t, f, 10).check(t, 1, 10, 11)
}

// A process that ends while it makes the file leaves none, or a whole one; and what is there lasts.
func TestCreateStopsAnywhere(t *testing.T) {
	faults, driver := sqlfault.New(t)
	dir, syncs := t.TempDir(), 0
	var copies []*Folder
	stop := func() { copies = append(copies, copyLog(t, dir)) }
	f := folderOf(dir, driver)
	f.Sync = func(string) error { syncs++; stop(); return nil }
	faults.Set(func(string, bool) error { stop(); return nil })
	must(t, CreateLog(f, journal, 5))
	faults.Set(nil)
	stop()
	whole := 0
	for _, c := range copies {
		if _, err := os.Stat(filepath.Join(c.dir, LogName)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		whole++
		openLog(t, c, 5)
	}
	if syncs != 1 || whole != 2 {
		t.Errorf("%d syncs of the folder, %d of %d stops left a log; want that of the sync and the end", syncs, whole, len(copies))
	}
	must(t, CreateLog(folderOf(t.TempDir(), driver), journal, 5))
}

// TestRot spoils one byte of a log, of the file and of SQLite's log beside it. Nothing is taken for a log that is shorter
// by more than its last frame, or other than it was.
func TestRot(t *testing.T) {
	f := folderOf(t.TempDir(), "")
	l := newLog(t, f, 0)
	l.fill(t, 60)
	must(t, l.Vacuum())
	l.Cut(20)
	l.fill(t, 120)
	rnd := rand.New(rand.NewPCG(1, 1))
	refused := map[string]int{}
	for _, name := range []string{LogName, LogName + "-wal"} {
		whole, err := os.ReadFile(filepath.Join(f.dir, name))
		must(t, err)
		at := []int{}
		for i := range 20 {
			at = append(at, rnd.IntN(len(whole)), i*len(whole)/20)
		}
		if name != LogName {
			for i := range 32 + 24 { // all of the head, and that of the first frame
				at = append(at, i)
			}
		}
		for _, i := range at {
			c := copyLog(t, f.dir)
			bad := append([]byte{}, whole...)
			bad[i] ^= byte(1 + rnd.IntN(255))
			must(t, os.WriteFile(filepath.Join(c.dir, name), bad, 0o600))
			if !rotten(t, c, fmt.Sprintf("byte %d of %d of %s", i, len(whole), name)) {
				refused[name]++
			}
		}
	}
	t.Logf("refused: %v", refused)
}

// rotten tells whether a log is taken for good, which it then is.
func rotten(t *testing.T, f *Folder, what string) bool {
	t.Helper()
	l, err := OpenLog(f, journal, Position{N: 50}, true)
	if err != nil {
		return false
	}
	defer l.Close()
	last := uint64(49)
	err = l.Read(50, func(n uint64, frame []byte) error {
		if string(frame) != string(frameOf(n)) {
			t.Errorf("%s: frame %d is another", what, n)
		}
		last = n
		return nil
	})
	if err == nil && last < 119 {
		t.Errorf("%s: it ends with frame %d of 120", what, last)
	}
	return err == nil
}

const (
	childDir  = "LOG_TEST_CHILD_DIR"
	childFrom = "LOG_TEST_CHILD_FROM"
)

// TestChild is the process that TestKill kills. It says what was answered.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("only as a child of TestKill")
	}
	from, err := strconv.ParseUint(os.Getenv(childFrom), 10, 64)
	must(t, err)
	f := folderOf(dir, "")
	if _, err := os.Stat(filepath.Join(dir, LogName)); errors.Is(err, os.ErrNotExist) {
		must(t, os.MkdirAll(dir, 0o700))
		must(t, SyncDir(filepath.Dir(dir)))
		must(t, CreateLog(f, journal, 0))
	}
	l, err := OpenLog(f, journal, Position{N: stands(from)}, true)
	must(t, err)
	t.Fatal(l.appendFrames(1<<60, func(n uint64) { fmt.Printf("has %d\n", n) }))
}

// runAndKill lets a child write for a while; before is called when it is time to kill it.
func runAndKill(t *testing.T, dir string, from uint64, before func()) (done uint64) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	c.Env = append(os.Environ(), childDir+"="+dir, childFrom+"="+strconv.FormatUint(from, 10))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	lines := bufio.NewReader(out)
	most := rand.IntN(60)
	done = from
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // a line that was cut was not said
		}
		must(t, err)
		if _, err := fmt.Sscanf(line, "has %d", &done); err != nil && n <= most { // a child whose disk is gone complains
			t.Fatalf("the child says %q", line)
		}
		if n == most {
			before()
			must(t, c.Process.Kill())
		}
	}
	if err := c.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return done
}

// TestKill kills a writing process again and again. What it was answered is there.
func TestKill(t *testing.T) {
	dir, done := t.TempDir(), uint64(0)
	for range 50 {
		done = runAndKill(t, dir, done, func() {})
		l, err := OpenLog(folderOf(dir, ""), journal, Position{N: stands(done)}, true)
		must(t, err)
		l.check(t, stands(done)+1, done, done+1)
		done = l.Last()
		must(t, l.Close())
	}
	t.Logf("%d frames", done)
}

// TestPowerCut cuts the power of its disk: what was synced is there, of the rest a random part.
func TestPowerCut(t *testing.T) {
	left, done := "", uint64(0)
	var sum powercut.Loss
	for range 20 {
		disk := powercut.Mount(t, left)
		left = t.TempDir()
		done = runAndKill(t, filepath.Join(disk.Path(), "store"), done, func() {
			loss := disk.Cut(left)
			sum.Sectors, sum.Entries = sum.Sectors+loss.Sectors, sum.Entries+loss.Entries
		})
		disk.Unmount()
		if done == 0 {
			left = "" // nothing was answered: there need not be a folder
			continue
		}
		l, err := OpenLog(folderOf(filepath.Join(left, "store"), ""), journal, Position{N: stands(done)}, true)
		must(t, err)
		l.check(t, stands(done)+1, done, done+1)
		done = l.Last()
		must(t, l.Close())
	}
	t.Logf("%d frames; lost with the power: %+v", done, sum)
}

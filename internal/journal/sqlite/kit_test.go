package sqlite

import (
	"bytes"
	"fmt"
	"testing"

	"chatrelay/internal/journal/picture"
	"chatrelay/test/sqlfault"
)

const journal = "0123456789"

// folderOf is a folder that nobody has locked.
func folderOf(dir, driver string) *Folder {
	f := &Folder{dir: dir, name: FileName, Sync: SyncDir}
	f.Use(driver, "")
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// frameOf is what frame n says in these tests; some are longer than a page.
func frameOf(n uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "frame %d ", n), 1+int(n%7)*150)
}

func newLog(t testing.TB, f *Folder, n uint64) *Log {
	t.Helper()
	must(t, CreateLog(f, journal, n))
	return openLog(t, f, n)
}

func openLog(t testing.TB, f *Folder, n uint64) *Log {
	t.Helper()
	l, err := OpenLog(f, journal, Position{N: n}, true)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

func (l *Log) fill(t testing.TB, to uint64) {
	t.Helper()
	for n := l.Last() + 1; n <= to; n++ {
		must(t, l.Append(n, frameOf(n)))
	}
}

// check reads the log from a frame on, and wants it to end with one of some.
func (l *Log) check(t testing.TB, from, least, most uint64) {
	t.Helper()
	last := from - 1
	must(t, l.Read(from, func(n uint64, frame []byte) error {
		if n != last+1 || !bytes.Equal(frame, frameOf(n)) && len(frame) > 0 {
			return fmt.Errorf("after frame %d came frame %d, %.30q", last, n, frame)
		}
		last = n
		return nil
	}))
	if last < least || last > most {
		t.Fatalf("it ends with frame %d, want %d to %d", last, least, most)
	}
}

func copyLog(t testing.TB, from string) *Folder {
	t.Helper()
	return folderOf(sqlfault.Copy(t, from, LogName, LogName+"-wal"), "")
}

// saveNow gathers and writes.
func saveNow(tables *Tables, p *picture.Picture, c *picture.Changes, sum uint32) error {
	b := tables.Gather(p, c, sum)
	err := tables.Write(b)
	if err != nil {
		b.Undo()
	}
	return err
}

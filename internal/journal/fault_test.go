package journal

import (
	"chatrelay/internal/journal/sqlite"
	"strings"
	"sync/atomic"
	"testing"

	"chatrelay/test/sqlfault"
)

// copyFolder copies the file and its log, as a power cut would leave them: the shared memory is not on the disk.
func copyFolder(t testing.TB, from string) string {
	t.Helper()
	return sqlfault.Copy(t, from, sqlite.FileName, sqlite.FileName+"-wal", sqlite.OldName, sqlite.OldName+"-wal", sqlite.LogName, sqlite.LogName+"-wal", sqlite.LogName+".new", sqlite.LockName)
}

// counting gives a hook that does something at the nth statement (from 1) that is not the end of a transaction
// that failed already, and says how many there were.
func counting(n int, at func(query string) error) (hook func(string, bool) error, seen *atomic.Int64) {
	seen = &atomic.Int64{}
	return func(query string, ran bool) error {
		if ran || query == "ROLLBACK" || seen.Add(1) != int64(n) {
			return nil
		}
		return at(query)
	}, seen
}

// lackRoom has some of the next commits fail for want of room, from the first to the last of them, by number from 1. The next one
// waits: reached is closed when it is there, and it goes on when goAhead is.
func lackRoom(t *testing.T, f *sqlfault.Faults, first, last int) (reached, goAhead chan struct{}) {
	lacking := sqlfault.NoRoom(t)
	reached, goAhead = make(chan struct{}), make(chan struct{})
	var n int
	f.Set(func(query string, ran bool) error {
		if !appends(query) || ran {
			return nil
		}
		if n++; n == 1 {
			close(reached)
			<-goAhead
		}
		if first <= n && n <= last {
			return lacking
		}
		return nil
	})
	return reached, goAhead
}

// appends tells whether a statement writes a frame: it is a commit of its own.
func appends(query string) bool { return strings.HasPrefix(query, "INSERT INTO log") }

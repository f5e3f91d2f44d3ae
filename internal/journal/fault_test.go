package journal

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	sqlite "modernc.org/sqlite"
)

// faults is a driver that a test puts between the journal and SQLite.
type faults struct {
	inner driver.Driver

	mu sync.Mutex // guards hook
	// hook is asked about each statement, before it runs and, with ran, after it went well.
	hook func(query string, ran bool) error
}

var driverNumber atomic.Int64

// newFaults registers a driver of its own and gives its name.
func newFaults(t testing.TB) (*faults, string) {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	f := &faults{inner: db.Driver()}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("faults-%d", driverNumber.Add(1))
	sql.Register(name, f)
	return f, name
}

func (f *faults) set(hook func(query string, ran bool) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// around runs a statement between the two questions.
func (f *faults) around(query string, run func() error) error {
	f.mu.Lock()
	hook := f.hook
	f.mu.Unlock()
	if hook == nil {
		return run()
	}
	if err := hook(query, false); err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	return hook(query, true)
}

func (f *faults) Open(name string) (driver.Conn, error) {
	c, err := f.inner.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultConn{c, f}, nil
}

type faultConn struct {
	driver.Conn
	f *faults
}

func (c *faultConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (res driver.Result, err error) {
	err = c.f.around(q, func() (err error) {
		res, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
		return err
	})
	return res, err
}

func (c *faultConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = c.f.around(q, func() (err error) {
		rows, err = c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
		return err
	})
	return rows, err
}

func (c *faultConn) PrepareContext(ctx context.Context, q string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, q)
	if err != nil {
		return nil, err
	}
	return &faultStmt{s, q, c.f}, nil
}

type faultStmt struct {
	driver.Stmt
	q string
	f *faults
}

func (s *faultStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (res driver.Result, err error) {
	err = s.f.around(s.q, func() (err error) {
		res, err = s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
		return err
	})
	return res, err
}

func (s *faultStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = s.f.around(s.q, func() (err error) {
		rows, err = s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
		return err
	})
	return rows, err
}

// noRoom is SQLite's own error for a full disk.
func noRoom(t testing.TB) error {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	defer db.Close()
	for _, q := range []string{"CREATE TABLE t (b)", "PRAGMA max_page_count = 3", "INSERT INTO t VALUES (zeroblob(99999))"} {
		if _, err = db.Exec(q); err != nil {
			break
		}
	}
	var e *sqlite.Error
	if !errors.As(err, &e) || !diskFull(err) {
		t.Fatalf("got %v, want SQLITE_FULL", err)
	}
	return err
}

// copyFolder copies the file and its log, as a power cut would leave them: the shared memory is not on the disk.
func copyFolder(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{fileName, fileName + "-wal", oldName, oldName + "-wal", lockName} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
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

// lackRoom has the next commits fail for want of room, so many of them. The first waits: reached is closed when it is there, and it
// goes on when goAhead is.
func (f *faults) lackRoom(t *testing.T, commits int) (reached, goAhead chan struct{}) {
	lacking := noRoom(t)
	reached, goAhead = make(chan struct{}), make(chan struct{})
	var n int
	f.set(func(query string, ran bool) error {
		if query != "COMMIT" || ran {
			return nil
		}
		if n++; n == 1 {
			close(reached)
			<-goAhead
		}
		if n <= commits {
			return lacking
		}
		return nil
	})
	return reached, goAhead
}

// Package sqlfault puts faults between a program and SQLite: at any statement, before or after it.
package sqlfault

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	sqlite "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// Faults is a driver that a test puts between the journal and SQLite.
type Faults struct {
	inner driver.Driver

	run sync.Mutex // held by a statement and its hook: what a hook copies nobody writes to

	mu sync.Mutex // guards all below
	// hook is asked about each statement, before it runs and, with ran, after it went well.
	hook func(query string, ran bool) error
	file string // of which it is asked; empty: of all
}

var driverNumber atomic.Int64

// New registers a driver of its own and gives its name.
func New(t testing.TB) (*Faults, string) {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	f := &Faults{inner: db.Driver()}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("faults-%d", driverNumber.Add(1))
	sql.Register(name, f)
	return f, name
}

func (f *Faults) Set(hook func(query string, ran bool) error) { f.SetFor("", hook) }

// SetFor sets a hook for the statements on one file alone.
func (f *Faults) SetFor(file string, hook func(query string, ran bool) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook, f.file = hook, file
}

// around runs a statement between the two questions.
func (f *Faults) around(name, query string, run func() error) error {
	f.mu.Lock()
	hook, file := f.hook, f.file
	f.mu.Unlock()
	if hook == nil || !strings.Contains(name, file) {
		return run()
	}
	f.run.Lock()
	defer f.run.Unlock()
	if err := hook(query, false); err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	return hook(query, true)
}

func (f *Faults) Open(name string) (driver.Conn, error) {
	c, err := f.inner.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultConn{c, name, f}, nil
}

type faultConn struct {
	driver.Conn
	name string
	f    *Faults
}

func (c *faultConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (res driver.Result, err error) {
	err = c.f.around(c.name, q, func() (err error) {
		res, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
		return err
	})
	return res, err
}

func (c *faultConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = c.f.around(c.name, q, func() (err error) {
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
	return &faultStmt{s, c.name, q, c.f}, nil
}

type faultStmt struct {
	driver.Stmt
	name, q string
	f       *Faults
}

func (s *faultStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (res driver.Result, err error) {
	err = s.f.around(s.name, s.q, func() (err error) {
		res, err = s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
		return err
	})
	return res, err
}

func (s *faultStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = s.f.around(s.name, s.q, func() (err error) {
		rows, err = s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
		return err
	})
	return rows, err
}

// NoRoom is SQLite's own error for a full disk.
func NoRoom(t testing.TB) error {
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
	if !errors.As(err, &e) || e.Code()&0xff != codes.SQLITE_FULL {
		t.Fatalf("got %v, want SQLITE_FULL", err)
	}
	return err
}

// Copy copies some files of a folder, those that are there, as a power cut would leave them.
func Copy(t testing.TB, from string, names ...string) (to string) {
	t.Helper()
	to = t.TempDir()
	for _, name := range names {
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

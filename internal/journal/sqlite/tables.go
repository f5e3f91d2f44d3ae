package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Tables are the state of a journal, for its start and for people. One goroutine at a time writes (Write, ReadDead and what the file
// needs); any may read.
type Tables struct {
	folder   *Folder
	id       string
	db       *sql.DB
	conn     *sql.Conn // the writer's
	reader   *readers  // read beside it; nil in memory
	stmts    *statements
	pageSize int64
	seenRow  uint64
	clean    bool // nothing was written since SQLite's log was checkpointed
	notes    noteCache
	size     func() (int64, error) // asks another database than SQLite's how much it holds; nil: it is SQLite's
	used     int64                 // what that said
}

// OpenTables opens the tables of a folder, or makes them where there has never been a journal.
func OpenTables(h *Folder) (_ *Tables, err error) {
	t := &Tables{folder: h, stmts: newStatements()}
	defer func() {
		if err != nil {
			err = errors.Join(Damaged(err), t.Close())
		}
	}()
	left := false
	if h.dir != "" {
		if err := h.Prepare(); err != nil {
			return nil, err
		}
		left = unclean(h.path())
	}
	if t.db, t.conn, err = h.connect(); err != nil {
		return nil, err
	}
	if left && size(h.path()) <= checkedBytes {
		if err := integrityCheck(t.conn); err != nil {
			return nil, err
		}
	}
	if err := migrate(h, t.conn); err != nil {
		return nil, err
	}
	if t.pageSize, err = pragma(t.conn, "page_size"); err != nil {
		return nil, err
	}
	if err := t.meta(metaID, &t.id); err != nil {
		return nil, err
	}
	if h.dir != "" {
		if err := t.exec(fmt.Sprintf("PRAGMA busy_timeout = %d", busyFor.Milliseconds())); err != nil {
			return nil, err
		}
		t.reader, err = openReaders(h.readDriver, h.path())
	}
	return t, err
}

// busyFor is how long a checkpoint waits for somebody who holds the tables. Sometimes commits wait with it, and need not: the log
// has all.
const busyFor = 50 * time.Millisecond

// ID is the journal's random id.
func (t *Tables) ID() string { return t.id }

// Position is up to where tables know all: the number of a frame, and its sum; 0: not known.
type Position struct {
	N   uint64
	Sum uint32
}

// Position tells it.
func (t *Tables) Position() (s Position, err error) {
	if err = t.meta(metaLog, &s.N); err == nil {
		err = t.meta(metaSum, &s.Sum)
	}
	return s, err
}

// Has tells whether it is committed that tables know all up to a frame. It asks another connection than the writer's, which would
// also see what it could neither commit nor roll back.
func (t *Tables) Has(n uint64) bool {
	if t.reader == nil {
		return false
	}
	var at uint64
	err := t.reader.bodies.QueryRowContext(context.Background(), "SELECT v FROM meta WHERE k = ?", metaLog).Scan(&at)
	return err == nil && at == n
}

// WriteID writes the journal's id into the folder's lock file, once.
func (t *Tables) WriteID() error { return t.folder.writeID(t.id) }

// Close closes the file. Once closed it does nothing more.
func (t *Tables) Close() error {
	var errs []error
	if t.reader != nil && t.size == nil {
		errs = append(errs, t.reader.close())
	}
	errs = append(errs, t.stmts.close())
	if t.conn != nil {
		errs = append(errs, t.conn.Close())
	}
	if t.db != nil {
		errs = append(errs, t.db.Close()) // the last connection checkpoints the log
	}
	t.reader, t.conn, t.db, t.stmts = nil, nil, nil, &statements{}
	return errors.Join(errs...)
}

// rows runs a query and hands each row to scan.
func (t *Tables) rows(scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.conn.QueryContext(context.Background(), query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t *Tables) exec(query string, args ...any) error {
	_, err := t.conn.ExecContext(context.Background(), query, args...)
	return err
}

func (t *Tables) meta(k string, v any) error {
	if err := t.conn.QueryRowContext(context.Background(), "SELECT v FROM meta WHERE k = ?", k).Scan(v); Temporary(err) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: meta %s: %w", ErrDamaged, k, err)
	}
	return nil
}

// Used is how much of the file is in use, and how many of its pages are free.
func (t *Tables) Used() (bytes, free int64, err error) {
	if t.size != nil {
		return t.used, 0, nil
	}
	pages, err := pragma(t.conn, "page_count")
	if err != nil {
		return 0, 0, err
	}
	free, err = pragma(t.conn, "freelist_count")
	return (pages - free) * t.pageSize, free, err
}

// vacuumPages are given back in one idle slice.
const vacuumPages = 256

// Vacuum is for an idle moment: a slice of what is free is given back, or SQLite's log is checkpointed, so that little hangs on
// it. shrunk: ask how much is used again.
func (t *Tables) Vacuum(free int64) (shrunk bool, err error) {
	switch {
	case t.folder.dir == "" || t.clean:
		return false, nil
	case free > 4*vacuumPages:
		return true, t.exec("PRAGMA incremental_vacuum(256)")
	}
	t.clean = true
	return false, t.exec("PRAGMA wal_checkpoint(PASSIVE)")
}

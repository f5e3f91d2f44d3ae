package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	_ "modernc.org/sqlite" // the driver
)

const (
	FileName = "journal.db" // of the tables
	LockName = "book.lock"  // as ever: relays of two versions must not own one folder
	// checkedBytes: a journal up to this size is checked page by page after a start that finds an unfinished
	// log; a larger one would make recovery slow, and what the relay needs of it is read in full anyway.
	checkedBytes = 64 << 20
)

// Folder is the folder of a journal while this process owns it. In memory: no folder, no lock.
type Folder struct {
	dir        string
	name       string // of the file
	lockFile   *os.File
	driver     string                 // of database/sql, for who writes
	readDriver string                 // for who reads beside
	Sync       func(dir string) error // makes the entries of a folder lasting
}

// LockFolder makes the folder if need be and takes its lock.
func LockFolder(dir string) (*Folder, error) {
	if dir == "" {
		return &Folder{driver: ownDriver}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), lock.Close())
	}
	return &Folder{dir: dir, name: FileName, lockFile: lock, driver: ownDriver, readDriver: ownDriver, Sync: SyncDir}, nil
}

const ownDriver = "sqlite"

// Use has another driver of database/sql than SQLite's own used: one that writes, one that reads beside it. Empty: the own.
func (h *Folder) Use(write, read string) {
	h.driver, h.readDriver = cmp.Or(write, ownDriver), cmp.Or(read, ownDriver)
}

// Unlock gives the folder up.
func (h *Folder) Unlock() error {
	if h.lockFile == nil {
		return nil
	}
	return h.lockFile.Close()
}

func (h *Folder) path() string { return filepath.Join(h.dir, h.name) }

// Prepare makes the tables where there has never been one. The lock file carries the id of the journal that
// belongs beside it: a folder whose journal has gone is never taken for a new one.
func (h *Folder) Prepare() error {
	name, err := find(h.dir)
	switch {
	case err == nil && name == OldName:
		return h.takeOver()
	case err == nil:
		return checkHeader(h.path())
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if lockID, err := os.ReadFile(h.lockFile.Name()); err != nil {
		return err
	} else if len(lockID) > 0 {
		return fmt.Errorf("%w: %s is gone, but %s says that there was journal %s. Bring it back, or empty the folder to start without it",
			ErrDamaged, h.path(), LockName, lockID)
	}
	for _, name := range []string{FileName, OldName} {
		if _, err := os.Stat(filepath.Join(h.dir, name+"-wal")); err == nil {
			return fmt.Errorf("%w: %s is gone from %s, its log is still there", ErrDamaged, name, h.dir)
		}
	}
	if err := h.syncParents(); err != nil { // before there is a journal: a start that finds one need not look
		return err
	}
	if err := h.unfinished(); err != nil {
		return err
	}
	id := newID()
	if err := CreateLog(h, id, 0); err != nil {
		return err
	}
	return h.create(FileName, func(conn *sql.Conn) error { return makeSchema(conn, id) })
}

// draft ends the name of a file that is not complete yet.
const draft = ".new"

// create makes a file under another name, has fill fill it, and gives it its own name when it is complete on the disk.
func (h *Folder) create(name string, fill func(*sql.Conn) error) error {
	path := filepath.Join(h.dir, name)
	draft := path + draft
	for _, left := range []string{draft, draft + "-journal", draft + "-wal", draft + "-shm"} {
		if err := os.Remove(left); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	file, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	db, conn, err := openWrite(h.driver, dsn(draft, nil))
	if err != nil {
		return err
	}
	if _, err = conn.ExecContext(context.Background(), "PRAGMA synchronous = EXTRA"); err == nil {
		err = fill(conn)
	}
	if err := errors.Join(err, conn.Close(), db.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return h.Sync(h.dir)
}

// unfinished looks at a log that no tables know of: a start that ended in the midst of making both, or of migrating, has left
// it, without a frame.
func (h *Folder) unfinished() error {
	path := filepath.Join(h.dir, LogName)
	if _, err := os.Stat(path + "-wal"); err == nil {
		return fmt.Errorf("%w: %s was in use, and the tables beside it know nothing of it. Bring back a copy of the whole folder", ErrDamaged, path)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	err := checkHeader(path)
	var last int64
	if err == nil {
		var db *sql.DB
		if db, err = openRead(ownDriver, path); err == nil {
			err = errors.Join(db.QueryRow("SELECT max(n) FROM log").Scan(&last), db.Close())
		}
	}
	if err != nil || last > 0 {
		return fmt.Errorf("%w: %s has %d frames (%v), and the tables beside it know nothing of it. Bring back a copy of the whole folder", ErrDamaged, path, last, err)
	}
	return nil
}

// syncParents makes the way to a first journal lasting. Which of the folders are new nobody knows: chatrelay check, or a
// start that did not come to its end, may have made them. What is not ours to read was there before.
func (h *Folder) syncParents() error {
	dir, err := filepath.EvalSymlinks(h.dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return err
	}
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err := h.Sync(dir)
		if err != nil && !errors.Is(err, os.ErrPermission) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// writeID writes the journal's id into the lock file, once.
func (h *Folder) writeID(id string) error {
	if h.lockFile == nil {
		return nil
	}
	have, err := os.ReadFile(h.lockFile.Name())
	if err != nil || string(have) == id {
		return err
	}
	if err := h.lockFile.Truncate(0); err != nil {
		return err
	}
	if _, err := h.lockFile.WriteAt([]byte(id), 0); err != nil {
		return err
	}
	return errors.Join(h.lockFile.Sync(), h.Sync(h.dir))
}

// unclean tells whether the last owner of a file did not end in good order: it left SQLite's log of it.
func unclean(path string) bool { return size(path+"-wal") > 0 }

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// connect opens the connection that writes the tables.
func (h *Folder) connect() (*sql.DB, *sql.Conn, error) {
	name := ":memory:"
	if h.dir != "" {
		name = dsn(h.path(), nil)
	}
	db, conn, err := openWrite(h.driver, name)
	if err == nil {
		if err = settings(conn, h); err != nil {
			err = errors.Join(err, conn.Close(), db.Close())
		}
	}
	return db, conn, err
}

func settings(conn *sql.Conn, h *Folder) error {
	ctx := context.Background()
	if h.dir == "" {
		return makeSchema(conn, newID())
	}
	if err := checkSchema(conn); err != nil {
		return err
	}
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("%s: this file system cannot hold a write-ahead log (mode %s): use a local disk", h.dir, mode)
	}
	for _, q := range []string{
		"PRAGMA synchronous = FULL", // else a power cut may take from them what the log was cut for
		"PRAGMA wal_autocheckpoint = 2000",
		"PRAGMA journal_size_limit = 67108864",
	} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// integrityCheck has SQLite look over the file.
func integrityCheck(db execer) error {
	var verdict string
	if err := db.QueryRowContext(context.Background(), "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.ReplaceAll(verdict, "\n", ": ")) // an error is one line
	}
	return nil
}

package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	_ "modernc.org/sqlite" // the driver
)

const (
	fileName = "journal.db"
	lockName = "book.lock" // as ever: relays of two versions must not own one folder
	// checkedBytes: a journal up to this size is checked page by page after a start that finds an unfinished
	// log; a larger one would make recovery slow, and what the relay needs of it is read in full anyway.
	checkedBytes = 64 << 20
)

// folder is the folder of a journal while this process owns it. In memory: no folder, no lock.
type folder struct {
	dir      string
	name     string // of the file
	lockFile *os.File
	sync     func(dir string) error // makes the entries of a folder lasting
}

// lockFolder makes the folder if need be and takes its lock.
func lockFolder(dir string) (*folder, error) {
	if dir == "" {
		return &folder{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), lock.Close())
	}
	return &folder{dir: dir, name: fileName, lockFile: lock, sync: syncDir}, nil
}

func (h *folder) unlock() error {
	if h.lockFile == nil {
		return nil
	}
	return h.lockFile.Close()
}

func (h *folder) path() string { return filepath.Join(h.dir, h.name) }

// prepare makes the journal where there has never been one. The lock file carries the stamp of the journal that
// belongs beside it: a folder whose journal has gone is never taken for a new one.
func (h *folder) prepare(driver string) error {
	name, err := find(h.dir)
	switch {
	case err == nil && name == oldName:
		return h.takeOver(driver)
	case err == nil:
		return checkHeader(h.path())
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if stamp, err := os.ReadFile(h.lockFile.Name()); err != nil {
		return err
	} else if len(stamp) > 0 {
		return fmt.Errorf("%w: %s is gone, but %s says that there was journal %s. Bring it back, or empty the folder to start without it",
			ErrDamaged, h.path(), lockName, stamp)
	}
	for _, name := range []string{fileName, oldName} {
		if _, err := os.Stat(filepath.Join(h.dir, name+"-wal")); err == nil {
			return fmt.Errorf("%w: %s is gone from %s, its log is still there", ErrDamaged, name, h.dir)
		}
	}
	return h.create(driver)
}

// checkHeader looks at the head of a file before SQLite does: to SQLite an empty file is a fine new database, and a log
// beside it, which has all there is, a leftover to be removed.
func checkHeader(path string) error {
	head := make([]byte, 16)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	n, _ := f.Read(head)
	if err := f.Close(); err != nil {
		return err
	}
	if string(head[:n]) != "SQLite format 3\x00" {
		return fmt.Errorf("%w: %s does not begin like a SQLite file", ErrDamaged, path)
	}
	return nil
}

// create writes an empty journal under another name and gives it its own when it is complete on the disk.
func (h *folder) create(driver string) error {
	if err := h.syncParents(); err != nil { // before there is a journal: a start that finds one need not look
		return err
	}
	draft := h.path() + ".new"
	for _, left := range []string{draft, draft + "-journal", draft + "-wal", draft + "-shm"} {
		if err := os.Remove(left); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := createDatabase(driver, draft); err != nil {
		return err
	}
	if err := os.Rename(draft, h.path()); err != nil {
		return err
	}
	return h.sync(h.dir)
}

// syncParents makes the way to a first journal lasting. Which of the folders are new nobody knows: chatrelay check, or a
// start that did not come to its end, may have made them. What is not ours to read was there before.
func (h *folder) syncParents() error {
	dir, err := filepath.EvalSymlinks(h.dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return err
	}
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err := h.sync(dir)
		if err != nil && !errors.Is(err, os.ErrPermission) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

func createDatabase(driver, path string) error {
	db, err := sql.Open(driver, dsn(path, nil))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("PRAGMA synchronous = EXTRA")
	if err == nil {
		err = makeSchema(db)
	}
	return errors.Join(err, db.Close())
}

// writeID writes the journal's stamp into the lock file, once.
func (h *folder) writeID(id string) error {
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
	return errors.Join(h.lockFile.Sync(), h.sync(h.dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// unclean tells whether the last owner did not end in good order: it left a log.
func (h *folder) unclean() bool {
	if h.dir == "" {
		return false
	}
	info, err := os.Stat(h.path() + "-wal")
	return err == nil && info.Size() > 0
}

func (h *folder) size() int64 {
	info, err := os.Stat(h.path())
	if err != nil {
		return 0
	}
	return info.Size()
}

// dsn names a database file; the path may hold any character.
func dsn(path string, query url.Values) string {
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?" + query.Encode()
}

// connect opens the one connection that writes. No statement on it is ever given a context that can end: a
// cancelled statement in mid-write is what wedges this driver.
func connect(driver string, h *folder, sync string) (*sql.DB, *sql.Conn, error) {
	name := ":memory:"
	if h.dir != "" {
		name = dsn(h.path(), nil)
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(context.Background())
	if err == nil {
		err = settings(conn, h, sync)
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, conn, nil
}

func settings(conn *sql.Conn, h *folder, sync string) error {
	ctx := context.Background()
	if h.dir == "" {
		return makeSchema(conn)
	}
	// First of all: someone who looks into the journal may hold it for a moment.
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 5000"); err != nil {
		return err
	}
	if err := checkSchema(conn); err != nil {
		return err
	}
	level := "FULL" // each commit is on the disk before it is answered
	if sync == "os" {
		level = "NORMAL" // survives kill -9, not a power cut
	}
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("%s: this file system cannot hold a write-ahead log (mode %s): use a local disk", h.dir, mode)
	}
	for _, q := range []string{
		"PRAGMA synchronous = " + level,
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

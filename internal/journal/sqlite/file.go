package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// openWrite opens the one connection that writes. No statement on it is ever given a context that can end: a cancelled
// statement in mid-write is what wedges this driver.
func openWrite(driver, name string) (*sql.DB, *sql.Conn, error) {
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(context.Background())
	if err == nil {
		// First of all: someone who looks into the file may hold it for a moment.
		_, err = conn.ExecContext(context.Background(), "PRAGMA busy_timeout = 5000")
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, conn, nil
}

// bodyReaders: one body for each dispatcher at a time is plenty.
const bodyReaders = 2

// readers are the connections that read beside the writer. A list may go through all that there is: with one for the lists
// alone, those who look never take the dispatchers' connections.
type readers struct{ bodies, lists *sql.DB }

func openReaders(driver, path string) (*readers, error) {
	bodies, err := openRead(driver, path)
	if err != nil {
		return nil, err
	}
	lists, err := openRead(driver, path)
	if err != nil {
		return nil, errors.Join(err, bodies.Close())
	}
	lists.SetMaxOpenConns(1)
	return &readers{bodies, lists}, nil
}

func (r *readers) close() error { return errors.Join(r.bodies.Close(), r.lists.Close()) }

func openRead(driver, path string) (*sql.DB, error) {
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	db, err := sql.Open(driver, dsn(path, q))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(bodyReaders)
	if err := db.Ping(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// dsn names a database file; the path may hold any character.
func dsn(path string, query url.Values) string {
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?" + query.Encode()
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

// SyncDir makes the entries of a folder lasting.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// execer is what both *sql.Conn and *sql.DB can do.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func pragma(db execer, name string) (n int64, err error) {
	if err = db.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&n); err != nil {
		return 0, fmt.Errorf("pragma %s: %w", name, err)
	}
	return n, nil
}

func run(db execer, statements ...string) error {
	for _, q := range statements {
		if _, err := db.ExecContext(context.Background(), q); err != nil {
			return err
		}
	}
	return nil
}

package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// LogName is the file of the log.
const LogName = "log.db"

const (
	logID      = 0x63726c67 // "crlg", of the file
	logVersion = 1
	metaSync   = "sync" // "full", or "os": frames are on the disk when the machine likes
)

const logSchema = `
CREATE TABLE meta (k TEXT PRIMARY KEY, v NOT NULL) WITHOUT ROWID;
CREATE TABLE log (n INTEGER PRIMARY KEY, sum INTEGER NOT NULL, frame BLOB NOT NULL);`

// CreateLog makes the log of a journal that stands at frame n, of which only the row of n is left to be had.
func CreateLog(f *Folder, journal string, n uint64) error {
	return f.create(LogName, func(conn *sql.Conn) error { return fillLog(conn, journal, n, func() error { return nil }) })
}

// fillLog fills a new file: with an empty row of frame n, and what more puts behind it.
func fillLog(conn *sql.Conn, journal string, n uint64, more func() error) error {
	err := run(conn, "PRAGMA page_size = 4096", "PRAGMA auto_vacuum = INCREMENTAL", // only possible before the first table
		"BEGIN IMMEDIATE", logSchema, fmt.Sprintf("PRAGMA application_id = %d", logID), fmt.Sprintf("PRAGMA user_version = %d", logVersion))
	if err != nil {
		return err
	}
	for _, x := range [][2]string{{"journal", journal}, {metaSync, "full"}} {
		if _, err := conn.ExecContext(context.Background(), "INSERT INTO meta (k, v) VALUES (?, ?)", x[0], x[1]); err != nil {
			return err
		}
	}
	if err := insertFrame(conn, seed(journal), n, []byte{}); err != nil {
		return err
	}
	if err := more(); err != nil {
		return err
	}
	return run(conn, "COMMIT")
}

func insertFrame(db execer, seed uint32, n uint64, frame []byte) error {
	_, err := db.ExecContext(context.Background(), "INSERT INTO log (n, sum, frame) VALUES (?, ?, ?)", int64(n), int64(sum(seed, n, frame)), frame)
	return err
}

// beginAt has a log begin anew at frame n.
func beginAt(db execer, seed uint32, n uint64) error {
	err := run(db, "BEGIN IMMEDIATE", "DELETE FROM log")
	if err == nil {
		err = insertFrame(db, seed, n, []byte{})
	}
	if err == nil {
		err = run(db, "COMMIT")
	}
	if err != nil {
		_ = run(db, "ROLLBACK") // SQLite may have done so by itself
	}
	return err
}

// checkLog refuses a file that is not the log of this journal, is newer than this program, or has lost its end. synced: each
// frame was on the disk before it was answered.
func checkLog(db execer, journal string, torn error) (synced bool, err error) {
	app, err := pragma(db, "application_id")
	if err != nil {
		return false, err
	}
	version, err := pragma(db, "user_version")
	if err != nil {
		return false, err
	}
	switch {
	case app != logID:
		return false, fmt.Errorf("%w: %s is no log of chatrelay (application id %#x)", ErrDamaged, LogName, app)
	case version > logVersion:
		return false, fmt.Errorf("%s has version %d, this program knows only up to %d: use the newer chatrelay that wrote it", LogName, version, logVersion)
	}
	var of, sync string
	for k, v := range map[string]*string{"journal": &of, metaSync: &sync} {
		if err := db.QueryRowContext(context.Background(), "SELECT v FROM meta WHERE k = ?", k).Scan(v); err != nil {
			return false, fmt.Errorf("%w: %s: meta %s: %w", ErrDamaged, LogName, k, err)
		}
	}
	synced = sync == "full"
	switch {
	case of != journal:
		return false, fmt.Errorf("%w: %s belongs to journal %s, the tables beside it to %s: bring back a copy of the whole folder", ErrDamaged, LogName, of, journal)
	case torn != nil && synced:
		return false, torn // where the machine may lose the end, any end is a good one
	}
	return synced, nil
}

func (l *Log) settings(dir string, syncs bool) error {
	var mode string
	if err := l.conn.QueryRowContext(context.Background(), "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("%s: this file system cannot hold a write-ahead log (mode %s): use a local disk", dir, mode)
	}
	// Said before anything is written that way, and on the disk.
	level, word := "FULL", "full"
	if !syncs {
		level, word = "NORMAL", "os"
	}
	if err := run(l.conn, "PRAGMA synchronous = FULL", "PRAGMA wal_autocheckpoint = 1000", "PRAGMA journal_size_limit = 8388608"); err != nil {
		return err
	}
	_, err := l.conn.ExecContext(context.Background(), "UPDATE meta SET v = ?1 WHERE k = ?2 AND v <> ?1", word, metaSync)
	if Temporary(err) {
		level, err = "FULL", nil // it is right either way
	}
	if err != nil {
		return err
	}
	return run(l.conn, "PRAGMA synchronous = "+level)
}

package journal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	applicationID = 0x63726c79 // "crly"
	schemaVersion = 4          // 2: messages.receipt. 3: messages.expires. 4: legs.waited
	oldestVersion = 1
)

// schema is written once, into a new file that gets its name only when it is complete.
//
// messages: a row stays while a delivery is open or dead, and a while longer for bounces. A row without deliveries is
// finished: so closing a message never rewrites the page that holds its body. receipt tells whether one is due
// at reply; NULL, in rows of version 1: where there is a reply. expires is when the message is worth nothing any more, in
// running time; NULL: never.
// deliveries: open (state 0) or dead (state 1); a settled delivery's row is gone. seq is the order within a lane. waited is for
// how many ms it was deferred.
// bound: deliveries that a wire holds, in the order of binding.
// seen: the keys of one commit, packed, appended in order (dedup.go); failed: the messages a retry of which
// is answered with failed.
const schema = `
CREATE TABLE meta (k TEXT PRIMARY KEY, v NOT NULL) WITHOUT ROWID;
CREATE TABLE messages (
	id INTEGER PRIMARY KEY, at INTEGER NOT NULL, origin INTEGER NOT NULL, mail INTEGER NOT NULL,
	answers INTEGER NOT NULL, delayed INTEGER NOT NULL, dropped INTEGER NOT NULL DEFAULT 0, reason TEXT, sender TEXT NOT NULL, reply TEXT,
	receipt INTEGER, expires INTEGER, keys BLOB, body BLOB);
CREATE TABLE legs (
	seq INTEGER PRIMARY KEY, msg INTEGER NOT NULL, leg INTEGER NOT NULL, side INTEGER NOT NULL,
	kind INTEGER NOT NULL, dest TEXT NOT NULL, lane TEXT NOT NULL, state INTEGER NOT NULL,
	attempts INTEGER NOT NULL, waited INTEGER NOT NULL, next_at INTEGER NOT NULL, reason TEXT, note TEXT);
CREATE INDEX dead ON legs (msg, leg) WHERE state = 1;
CREATE TABLE bound (seq INTEGER PRIMARY KEY, ord INTEGER NOT NULL, how BLOB NOT NULL);
CREATE TABLE seen (n INTEGER PRIMARY KEY, gen INTEGER NOT NULL, ran INTEGER NOT NULL, keys BLOB NOT NULL);
CREATE TABLE failed (msg INTEGER PRIMARY KEY, gen INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE side_state (side INTEGER, key TEXT, value BLOB NOT NULL, PRIMARY KEY (side, key)) WITHOUT ROWID;
CREATE TABLE totals (
	name TEXT, side INTEGER, reason TEXT, n INTEGER NOT NULL, PRIMARY KEY (name, side, reason)) WITHOUT ROWID;`

// Keys of meta.
const (
	metaID    = "book"   // the journal's random id
	metaNext  = "next"   // no message number at or above this was ever given out
	metaRan   = "ran_ms" // how long a relay has run on this journal
	metaProbe = "probe"  // is there room (writeerr.go)
)

// execer is what both *sql.Conn and *sql.DB can do.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// make fills an empty database.
func makeSchema(db execer) error {
	ctx := context.Background()
	id := make([]byte, 5)
	_, _ = rand.Read(id) // never fails
	for _, q := range []string{
		"PRAGMA page_size = 4096",
		"PRAGMA auto_vacuum = INCREMENTAL", // only possible before the first table
		"BEGIN IMMEDIATE",
		schema,
		fmt.Sprintf("INSERT INTO meta VALUES ('%s', '%s'), ('%s', 1), ('%s', 0)",
			metaID, hex.EncodeToString(id), metaNext, metaRan),
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", schemaVersion),
		"COMMIT",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("make schema: %w", err)
		}
	}
	return nil
}

// ErrDamaged says that the file cannot be trusted. Nothing is repaired or started afresh by itself.
var ErrDamaged = errors.New("the journal is damaged")

// checkSchema refuses a file that is not ours or is newer than this program.
func checkSchema(db execer) error {
	app, err := pragma(db, "application_id")
	if err != nil {
		return err
	}
	version, err := pragma(db, "user_version")
	if err != nil {
		return err
	}
	switch {
	case app != applicationID:
		return fmt.Errorf("%w: it is no journal of chatrelay (application id %#x)", ErrDamaged, app)
	case version > schemaVersion:
		return fmt.Errorf("the journal has version %d, this program knows only up to %d: use the newer chatrelay that wrote it",
			version, schemaVersion)
	case version < oldestVersion:
		return fmt.Errorf("%w: version %d was never in use", ErrDamaged, version)
	}
	return nil
}

// migrate brings the file of an older version up to date, a version at a time, each in a transaction of its own:
// a kill in the midst leaves one that the next start goes on from.
func migrate(db execer) error {
	version, err := pragma(db, "user_version")
	if err != nil {
		return err
	}
	for ; version < schemaVersion; version++ {
		steps := append([]string{"BEGIN IMMEDIATE"}, stepsFrom(version)...)
		for _, q := range append(steps, fmt.Sprintf("PRAGMA user_version = %d", version+1), "COMMIT") {
			if _, err := db.ExecContext(context.Background(), q); err != nil {
				return fmt.Errorf("migrate from version %d: %w", version, err)
			}
		}
	}
	return nil
}

// stepsFrom are the statements that make the next version of one. No row of messages is rewritten: the bodies
// may fill the disk.
func stepsFrom(version int64) []string {
	switch version {
	case 1:
		return []string{
			"ALTER TABLE messages ADD COLUMN receipt INTEGER",
			"UPDATE legs SET first_at = 0 WHERE first_at <> 0", // was the wall's time, is running time
		}
	case 2:
		return []string{"ALTER TABLE messages ADD COLUMN expires INTEGER"}
	case 3:
		return []string{
			"ALTER TABLE legs RENAME COLUMN first_at TO waited",
			"UPDATE legs SET waited = 0 WHERE waited <> 0", // was when it was first tried
		}
	}
	return nil
}

func pragma(db execer, name string) (n int64, err error) {
	err = db.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("pragma %s: %w", name, err)
	}
	return n, nil
}

package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// SchemaVersion is the tables', in user_version.
const (
	applicationID = 0x63726c79 // "crly"
	SchemaVersion = 5          // 2: messages.receipt. 3: messages.expires. 4: legs.waited. 5: a log beside it
	oldestVersion = 1
	firstWithLog  = 5
)

// schema is written once, into a new file that gets its name only when it is complete.
//
// messages: a row stays while a delivery is open or dead, and a while longer for bounces. A row without deliveries is
// finished: so closing a message never rewrites the page that holds its body. receipt tells whether one is due
// at reply; NULL, in rows of version 1: where there is a reply. expires is when the message is worth nothing any more, in
// running time; NULL: never.
// delayed: 1 its sender was told that it is, 2 its time for bounces is over, 4 it has bounced.
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
	metaID    = "book"    // the journal's random id
	metaNext  = "next"    // no message number at or above this was ever given out
	metaRan   = "ran_ms"  // how long a relay has run on this journal
	metaLog   = "log_n"   // of the last frame that the tables have
	metaSum   = "log_sum" // and its sum: a log of another time may have that number, too
	metaRules = "rules"   // which notices senders get: bits
	metaSeq   = "seq"     // of the last delivery
	metaBound = "bound"   // number of the last binding
	metaProbe = "probe"   // is there room? Of the log; before it, of the tables
)

// newID is the random id of a new journal.
func newID() string {
	id := make([]byte, 5)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// makeSchema fills an empty database.
func makeSchema(db execer, id string) error {
	ctx := context.Background()
	for _, q := range []string{
		"PRAGMA page_size = 4096",
		"PRAGMA auto_vacuum = INCREMENTAL", // only possible before the first table
		"BEGIN IMMEDIATE",
		schema,
		fmt.Sprintf("INSERT INTO meta VALUES ('%s', '%s'), ('%s', 1), ('%s', 0), ('%s', 0), ('%s', 0), ('%s', 0), ('%s', 0), ('%s', 0)",
			metaID, id, metaNext, metaRan, metaLog, metaSum, metaRules, metaSeq, metaBound),
		"INSERT INTO seen VALUES (1, 1, 0, x'')", // each generation has a row
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", SchemaVersion),
		"COMMIT",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("make schema: %w", err)
		}
	}
	return nil
}

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
	case version > SchemaVersion:
		return fmt.Errorf("the journal has version %d, this program knows only up to %d: use the newer chatrelay that wrote it",
			version, SchemaVersion)
	case version < oldestVersion:
		return fmt.Errorf("%w: version %d was never in use", ErrDamaged, version)
	}
	return nil
}

// migrate brings the file of an older version up to date, a version at a time, each in a transaction of its own:
// a kill in the midst leaves one that the next start goes on from.
func migrate(h *Folder, db execer) error {
	version, err := pragma(db, "user_version")
	if err != nil {
		return err
	}
	for ; version < SchemaVersion; version++ {
		if version == firstWithLog-1 { // the log is there, for good, before the tables say so
			if err := h.makeLog(db); err != nil {
				return fmt.Errorf("migrate from version %d: %w", version, err)
			}
		}
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
	case 4:
		return []string{
			"DELETE FROM meta WHERE k = '" + metaProbe + "'",
			fmt.Sprintf("INSERT INTO meta VALUES ('%s', 0), ('%s', 0), ('%s', 0), ('%s', 0), ('%s', 0)", metaLog, metaSum, metaRules, metaSeq, metaBound),
			"INSERT INTO seen SELECT 1, 1, v, x'' FROM meta WHERE k = '" + metaRan + "' AND NOT EXISTS (SELECT 1 FROM seen)",
		}
	}
	return nil
}

// makeLog makes the log of a journal that had none.
func (h *Folder) makeLog(db execer) error {
	var id string
	if err := db.QueryRowContext(context.Background(), "SELECT v FROM meta WHERE k = ?", metaID).Scan(&id); err != nil {
		return err
	}
	if err := h.unfinished(); err != nil {
		return err
	}
	return CreateLog(h, id, 0)
}

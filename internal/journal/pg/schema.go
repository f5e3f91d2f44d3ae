package pg

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"chatrelay/internal/journal/sqlite"
)

const (
	oldestServer  = 130000 // PostgreSQL 13
	schemaVersion = 1      // of what follows; with the version of the tables' own schema
)

// schema is a slot's. lease: one row, epoch and holder of whoever writes. log: the frames; epoch and holder wrote them. confirmed: a row
// that is written where nobody knows whether a commit is safe. probe: is there room?
// The rest is what package sqlite has, with PostgreSQL's types: see there for what it means. Texts have U+0001 for NUL.
const schema = `
CREATE TABLE @lease (one int PRIMARY KEY CHECK (one = 1), epoch bigint NOT NULL, holder text NOT NULL, until timestamptz NOT NULL);
INSERT INTO @lease VALUES (1, 0, '', '-infinity');
CREATE TABLE @log (n bigint PRIMARY KEY, sum bigint NOT NULL, epoch bigint NOT NULL, holder text NOT NULL, frame bytea NOT NULL);
ALTER TABLE @log ALTER frame SET STORAGE EXTERNAL;
CREATE TABLE @confirmed (one int PRIMARY KEY CHECK (one = 1), n bigint NOT NULL);
CREATE TABLE @probe (one int PRIMARY KEY, v bytea NOT NULL);
ALTER TABLE @probe ALTER v SET STORAGE EXTERNAL;
CREATE TABLE @meta (k text PRIMARY KEY, v text NOT NULL);
CREATE TABLE @messages (
	id bigint PRIMARY KEY, at bigint NOT NULL, origin bigint NOT NULL, mail bigint NOT NULL,
	answers bigint NOT NULL, delayed bigint NOT NULL, dropped bigint NOT NULL DEFAULT 0, reason text, sender text NOT NULL, reply text,
	receipt bigint, expires bigint, keys bytea, body bytea);
ALTER TABLE @messages ALTER body SET STORAGE EXTERNAL;
CREATE TABLE @legs (
	seq bigint PRIMARY KEY, msg bigint NOT NULL, leg bigint NOT NULL, side bigint NOT NULL,
	kind bigint NOT NULL, dest text NOT NULL, lane text NOT NULL, state bigint NOT NULL,
	attempts bigint NOT NULL, waited bigint NOT NULL, next_at bigint NOT NULL, reason text, note text);
CREATE INDEX dead ON @legs (msg, leg) WHERE state = 1;
CREATE TABLE @bound (seq bigint PRIMARY KEY, ord bigint NOT NULL, how bytea NOT NULL);
CREATE TABLE @seen (n bigint PRIMARY KEY, gen bigint NOT NULL, ran bigint NOT NULL, keys bytea NOT NULL);
CREATE TABLE @failed (msg bigint PRIMARY KEY, gen bigint NOT NULL, reason text NOT NULL);
CREATE TABLE @side_state (side bigint, key text, value bytea NOT NULL, PRIMARY KEY (side, key));
CREATE TABLE @totals (name text, side bigint, reason text, n bigint NOT NULL, PRIMARY KEY (name, side, reason));
INSERT INTO @meta VALUES ('next', 1), ('ran_ms', 0), ('log_n', 0), ('log_sum', 0), ('rules', 0), ('seq', 0), ('bound', 0);
INSERT INTO @seen VALUES (1, 1, 0, '');
`

// schemaLock is held while a slot's tables are made: two relays may start at once. Until the transaction's end, so poolers do no harm.
const schemaLock = 0x63726c79

// prepare makes the tables, or looks whether they are ours.
func (s *Store) prepare(ctx context.Context) error {
	l, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	rows, _, err := l.run("SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding'), to_regclass($1) IS NOT NULL", s.schema+".lease")
	if err != nil {
		return err
	}
	switch {
	case number(rows[0][0]) < oldestServer:
		return fmt.Errorf("PostgreSQL %d: 13 or newer is needed", number(rows[0][0])/10000)
	case string(rows[0][1]) != "UTF8":
		return fmt.Errorf("the database's encoding is %s: make one with ENCODING 'UTF8'", rows[0][1])
	case number(rows[0][2]) == 0:
		if err := s.create(l); err != nil {
			return fmt.Errorf("make the tables (the user needs the right CREATE on the database, or a schema %s that is the user's): %w", s.schema, err)
		}
	}
	return s.checkVersion(l)
}

// create makes the tables in one transaction.
func (s *Store) create(l *link) error {
	if _, err := l.simple(fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock(%d)", schemaLock)); err != nil {
		return err
	}
	rows, _, err := l.run("SELECT to_regclass($1) IS NOT NULL, EXISTS (SELECT FROM pg_namespace WHERE nspname = $2)", s.schema+".lease", s.schema)
	if err != nil {
		return err
	}
	if number(rows[0][0]) != 0 { // another relay was faster
		_, err := l.simple("ROLLBACK")
		return err
	}
	if number(rows[0][1]) == 0 {
		if _, err := l.simple("CREATE SCHEMA " + s.schema); err != nil {
			return err
		}
	}
	id := make([]byte, 5)
	_, _ = rand.Read(id) // never fails
	first := fmt.Sprintf("INSERT INTO @meta VALUES ('book', '%s'), ('schema', '%s'); INSERT INTO @log VALUES (0, %d, 0, '', '')",
		hex.EncodeToString(id), ownVersion(), sqlite.Sum(hex.EncodeToString(id), 0, nil))
	_, err = l.simple(s.text(schema + first + "; COMMIT"))
	return err
}

func ownVersion() string {
	return strconv.Itoa(schemaVersion) + "." + strconv.Itoa(sqlite.SchemaVersion)
}

func (s *Store) checkVersion(l *link) error {
	rows, _, err := l.run(s.text("SELECT v FROM @meta WHERE k = 'schema'"))
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%w: %s.meta has no version", sqlite.ErrDamaged, s.schema)
	}
	if v := string(rows[0][0]); v != ownVersion() {
		return errors.New("the journal in the database has version " + v + ", this program knows " + ownVersion() + ": use the chatrelay that wrote it")
	}
	return nil
}

package journal

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"chatrelay/bridge"
)

// Filter says what is meant: all that fits each field that is set. Neither Dead nor Pending means both.
type Filter struct {
	Dead, Pending    bool
	Reason, From, To string
	Before           time.Time // the message was taken before
	After            uint64    // Entry.Seq to go on behind
	Limit            int       // 0: 100
}

// DeliveryInfo is one delivery as a person looks at it. It holds no content of the message.
type DeliveryInfo struct {
	Seq      uint64 // its place in the list
	Ref      bridge.Ref
	At       time.Time // when the message was taken
	From, To string
	Side     bridge.SideID
	Kind     bridge.Kind
	State    string // dead, pending, or bound: on the wire
	Reason   string // of a dead delivery; else why it was last put off
	Text     string // of a dead delivery: the sentence its sender got
	Attempts int
	Size     int // bytes of the message
}

// ErrUnknown says that there is no such message.
var ErrUnknown = errors.New("no such dead letter in the journal")

// Reader looks into a journal beside a running relay. It changes nothing and holds no lock for long.
type Reader struct{ db *sql.DB }

// OpenReadOnly opens the journal of a folder for looking. It changes nothing in it.
func OpenReadOnly(dir string) (*Reader, error) {
	name, err := find(dir)
	if errors.Is(err, ErrDamaged) {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: there is no journal in %s: %w", dir, err)
	}
	path := filepath.Join(dir, name)
	if err := checkHeader(path); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	db, err := openRead(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", damaged(err))
	}
	if err := checkSchema(db); err != nil {
		return nil, fmt.Errorf("journal: %w", errors.Join(damaged(err), db.Close()))
	}
	return &Reader{db}, nil
}

// bodyReaders: one body for each dispatcher at a time is plenty.
const bodyReaders = 2

// readers are the connections that read beside the writer. A list may go through all that there is: with one for the lists
// alone, those who look never take the dispatchers' connections.
type readers struct{ bodies, lists *sql.DB }

func openReaders(path string) (*readers, error) {
	bodies, err := openRead(path)
	if err != nil {
		return nil, err
	}
	lists, err := openRead(path)
	if err != nil {
		return nil, errors.Join(err, bodies.Close())
	}
	lists.SetMaxOpenConns(1)
	return &readers{bodies, lists}, nil
}

func (r *readers) close() error { return errors.Join(r.bodies.Close(), r.lists.Close()) }

func openRead(path string) (*sql.DB, error) {
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	db, err := sql.Open("sqlite", dsn(path, q))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(bodyReaders)
	if err := db.Ping(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close ends the looking.
func (r *Reader) Close() error { return r.db.Close() }

// List lists deliveries, oldest first.
func (r *Reader) List(ctx context.Context, f Filter) ([]DeliveryInfo, error) {
	return list(ctx, r.db, f)
}

// Show gives the deliveries of a message that are open or dead, and its body.
func (r *Reader) Show(ctx context.Context, msg uint64) ([]DeliveryInfo, []byte, error) {
	return show(ctx, r.db, msg)
}

// List lists deliveries, oldest first.
func (j *Journal) List(ctx context.Context, f Filter) ([]DeliveryInfo, error) {
	if j.reader != nil {
		return list(ctx, j.reader.lists, f)
	}
	return list(j.reading(ctx), j.read(), f)
}

// Show gives the deliveries of a message that are open or dead, and its body.
func (j *Journal) Show(ctx context.Context, msg uint64) ([]DeliveryInfo, []byte, error) {
	return show(j.reading(ctx), j.read(), msg)
}

const listQuery = `SELECT l.seq, l.msg, l.leg, m.at, m.sender, l.dest, l.side, l.kind,
	CASE WHEN l.state = 1 THEN 'dead' WHEN b.seq IS NOT NULL THEN 'bound' ELSE 'pending' END,
	coalesce(l.reason, ''), CASE WHEN l.state = 1 THEN coalesce(l.note, '') ELSE '' END, l.attempts, coalesce(length(m.body), 0)
	FROM legs l JOIN messages m ON m.id = l.msg LEFT JOIN bound b ON b.seq = l.seq `

func list(ctx context.Context, db execer, f Filter) ([]DeliveryInfo, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	where, args := "WHERE l.seq > ?", []any{int64(f.After)}
	and := func(condition string, set bool, value any) {
		if set {
			where, args = where+" AND "+condition, append(args, value)
		}
	}
	and("l.state = ?", f.Dead != f.Pending, f.Dead)
	and("l.reason = ?", f.Reason != "", f.Reason)
	and("m.sender = ?", f.From != "", f.From)
	and("l.dest = ?", f.To != "", f.To)
	and("m.at < ?", !f.Before.IsZero(), f.Before.UnixMilli())
	return query(ctx, db, listQuery+where+" ORDER BY l.seq LIMIT ?", append(args, f.Limit)...)
}

func show(ctx context.Context, db execer, msg uint64) ([]DeliveryInfo, []byte, error) {
	var body []byte
	err := db.QueryRowContext(ctx, "SELECT body FROM messages WHERE id = ?", int64(msg)).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, fmt.Errorf("journal: message %d: %w", msg, ErrUnknown)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("journal: show: %w", err)
	}
	found, err := query(ctx, db, listQuery+"WHERE l.msg = ? ORDER BY l.seq", int64(msg))
	return found, body, err
}

func query(ctx context.Context, db execer, text string, args ...any) ([]DeliveryInfo, error) {
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("journal: list: %w", err)
	}
	defer rows.Close()
	var found []DeliveryInfo
	for rows.Next() {
		var e DeliveryInfo
		var at int64
		var note string
		err := rows.Scan(&e.Seq, &e.Ref.Msg, &e.Ref.Delivery, &at, &e.From, &e.To, &e.Side, &e.Kind, &e.State, &e.Reason, &note, &e.Attempts, &e.Size)
		if err != nil {
			return nil, fmt.Errorf("journal: list: %w", err)
		}
		e.At = time.UnixMilli(at)
		if note != "" {
			var n bridge.Note
			if err := json.Unmarshal([]byte(note), &n); err == nil {
				e.Text = n.Text
			}
		}
		found = append(found, e)
	}
	return found, rows.Err()
}

// MessageInfo is what a journal still knows of a message, without its content.
type MessageInfo struct {
	At         time.Time // zero: its row has gone
	From       string
	Origin     bridge.SideID
	Deliveries []DeliveryInfo // that are open or dead
	Failed     string         // why it failed: told whoever sends it again
	Remembered bool           // it would be known again
}

// Known tells what is known of a message by its number; ErrUnknown: nothing.
func (r *Reader) Known(ctx context.Context, msg uint64) (MessageInfo, error) {
	return known(ctx, r.db, msg)
}

// Known is Reader.Known of a journal that runs.
func Known(ctx context.Context, j *Journal, msg uint64) (MessageInfo, error) {
	return known(j.reading(ctx), j.read(), msg)
}

func known(ctx context.Context, db execer, msg uint64) (m MessageInfo, err error) {
	var at int64
	switch err = db.QueryRowContext(ctx, "SELECT at, sender, origin FROM messages WHERE id = ?", int64(msg)).Scan(&at, &m.From, &m.Origin); {
	case err == nil:
		m.At = time.UnixMilli(at)
		if m.Deliveries, err = query(ctx, db, listQuery+"WHERE l.msg = ? ORDER BY l.seq", int64(msg)); err != nil {
			return m, err
		}
	case !errors.Is(err, sql.ErrNoRows):
		return m, fmt.Errorf("journal: known: %w", err)
	}
	err = db.QueryRowContext(ctx, "SELECT reason FROM failed WHERE msg = ?", int64(msg)).Scan(&m.Failed)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return m, fmt.Errorf("journal: known: %w", err)
	}
	failed := err == nil
	if m.Remembered, err = remembered(ctx, db, msg); err != nil {
		return m, fmt.Errorf("journal: known: %w", err)
	}
	if m.At.IsZero() && !failed && !m.Remembered {
		return m, fmt.Errorf("journal: message %d: %w", msg, ErrUnknown)
	}
	return m, nil
}

// remembered looks for a key of a message. It reads all keys, which is for people only: the newest first.
func remembered(ctx context.Context, db execer, msg uint64) (bool, error) {
	rows, err := db.QueryContext(ctx, "SELECT keys FROM seen ORDER BY n DESC")
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var packed sql.RawBytes
		if err := rows.Scan(&packed); err != nil {
			return false, err
		}
		for b := packed; len(b) >= seenSize; b = b[seenSize:] {
			if binary.BigEndian.Uint64(b[seenSize-8:seenSize]) == msg {
				return true, nil
			}
		}
	}
	return false, rows.Err()
}

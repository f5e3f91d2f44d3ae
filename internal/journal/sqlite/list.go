package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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

const listQuery = `SELECT l.seq, l.msg, l.leg, m.at, m.sender, l.dest, l.side, l.kind,
	CASE WHEN l.state = 1 THEN 'dead' WHEN b.seq IS NOT NULL THEN 'bound' ELSE 'pending' END,
	coalesce(l.reason, ''), CASE WHEN l.state = 1 THEN coalesce(l.note, '') ELSE '' END, l.attempts, coalesce(length(m.body), 0)
	FROM legs l JOIN messages m ON m.id = l.msg LEFT JOIN bound b ON b.seq = l.seq `

// listMost are listed where nobody says how many.
const listMost = 100

func list(ctx context.Context, db execer, f Filter) ([]DeliveryInfo, error) {
	if f.Limit <= 0 {
		f.Limit = listMost
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

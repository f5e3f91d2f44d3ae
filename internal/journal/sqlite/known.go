package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"chatrelay/bridge"
)

// MessageInfo is what a journal still knows of a message, without its content.
type MessageInfo struct {
	At         time.Time // zero: its row has gone
	From       string
	Origin     bridge.SideID
	Deliveries []DeliveryInfo // that are open or dead
	Failed     string         // why it failed: told whoever sends it again
	Remembered bool           // it would be known again
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

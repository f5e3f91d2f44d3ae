package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"

	"chatrelay/bridge"
	"chatrelay/internal/journal/picture"
	"chatrelay/message"
)

// DeadMessage is a message with its dead deliveries as the file has them.
type DeadMessage struct {
	picture.Recalled
	Known         []message.Key // its keys
	Over, Bounced bool          // of one that is not only dead letters
}

// ReadDead reads messages with dead deliveries, many at a time. By the one who writes.
func (t *Tables) ReadDead(refs []bridge.Ref) (map[uint64]*DeadMessage, error) {
	read := map[uint64]*DeadMessage{}
	for chunk := range slices.Chunk(refs, 64) {
		ids := make([]any, len(chunk))
		for i, ref := range chunk {
			ids[i] = int64(ref.Msg)
		}
		in := "(?" + strings.Repeat(",?", len(ids)-1) + ")"
		err := t.rows(func(rows *sql.Rows) error {
			var packed []byte
			m, err := scanMessage(rows.Scan, &packed)
			if err != nil {
				return err
			}
			d := &DeadMessage{Recalled: picture.Recalled{
				ID: m.ID, At: m.At, Origin: m.Origin, From: m.From, Reply: m.Reply, Receipt: m.Receipt, Expires: m.Expires, Size: m.Size,
				Copies: m.Copies, Keys: m.Keys, Base: m.Base, Dropped: m.Dropped, Delayed: m.Delayed, Reason: m.Reason,
			}}
			d.Over, d.Bounced = m.Over, m.Bounced
			for ; len(packed) >= len(message.Key{}); packed = packed[len(message.Key{}):] {
				d.Known = append(d.Known, message.Key(packed[:len(message.Key{})]))
			}
			read[m.ID] = d
			return nil
		}, "SELECT "+messageColumns+", keys FROM messages WHERE id IN "+in, ids...)
		if err != nil {
			return nil, err
		}
		err = t.rows(func(rows *sql.Rows) error {
			var r loadedDelivery
			if err := r.scan(rows.Scan); err != nil {
				return err
			}
			note, err := &bridge.Note{}, error(nil)
			if r.note.Valid {
				note, err = t.notes.parse(r.note.String)
			}
			if m := read[r.msg]; m != nil && err == nil {
				m.Dead = append(m.Dead, picture.DeadLetter{
					Seq: r.seq, Num: r.num, Kind: r.kind, Side: r.side, To: r.to, Lane: r.lane, Attempts: r.attempts, Note: *note,
				})
			}
			return err
		}, "SELECT "+deliveryColumns+" FROM legs WHERE state = 1 AND msg IN "+in, ids...)
		if err != nil {
			return nil, err
		}
	}
	return read, nil
}

// OldestDead are the oldest dead letters. By the one who writes.
func (t *Tables) OldestDead(most int) (refs []bridge.Ref, err error) {
	err = t.rows(func(rows *sql.Rows) error {
		var ref bridge.Ref
		err := rows.Scan(&ref.Msg, &ref.Delivery)
		refs = append(refs, ref)
		return err
	}, "SELECT msg, leg FROM legs WHERE state = 1 ORDER BY msg, leg LIMIT ?", most)
	return refs, err
}

// dead counts the dead letters in the file.
func (l *loading) dead() error {
	var n, messages, bodies, texts sql.NullInt64
	err := l.t.conn.QueryRowContext(context.Background(), `SELECT CAST(sum(d.n) AS bigint), count(*), CAST(sum(coalesce(length(m.body), 0)) AS bigint), CAST(sum(d.texts) AS bigint)
		FROM (SELECT msg, count(*) AS n, sum(octet_length(dest) + octet_length(lane) + coalesce(octet_length(reason), 0)
			+ coalesce(octet_length(note), 0)) AS texts FROM legs WHERE state = 1 GROUP BY msg) d JOIN messages m ON m.id = d.msg`).
		Scan(&n, &messages, &bodies, &texts)
	l.p.Dead = picture.Tally{N: n.Int64, Bytes: n.Int64*picture.DeadRow + texts.Int64 + messages.Int64*picture.DeadMessage + bodies.Int64}
	return err
}

// noteCache keeps one copy of notes that come one after the other in the file.
type noteCache struct {
	text string
	last *bridge.Note
}

// parse makes a note of its text in the file.
func (c *noteCache) parse(text string) (*bridge.Note, error) {
	if c.last == nil || c.text != text {
		n := &bridge.Note{}
		if err := json.Unmarshal([]byte(text), n); err != nil {
			return nil, err
		}
		c.text, c.last = text, n
	}
	return c.last, nil
}

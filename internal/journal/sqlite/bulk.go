package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// bulk is one statement over many rows, prepared for a few sizes: with this driver a row in a statement of 64
// costs a third of a statement of its own.
type bulk struct {
	head, row, tail string
	cols            int
	sizes           [4]*sql.Stmt
}

var bulkSizes = [...]int{64, 16, 4, 1}

func newBulk(head, row, tail string) *bulk {
	return &bulk{head: head, row: row, tail: tail, cols: strings.Count(row, "?")}
}

// exec runs the statement over all rows of args.
func (b *bulk) exec(conn *sql.Conn, args []any) error {
	for i, n := range bulkSizes {
		for len(args) >= n*b.cols {
			if b.sizes[i] == nil {
				text := b.head + strings.TrimSuffix(strings.Repeat(b.row+",", n), ",") + b.tail
				stmt, err := conn.PrepareContext(context.Background(), text)
				if err != nil {
					return err
				}
				b.sizes[i] = stmt
			}
			if _, err := b.sizes[i].ExecContext(context.Background(), args[:n*b.cols]...); err != nil {
				return err
			}
			args = args[n*b.cols:]
		}
	}
	return nil
}

func (b *bulk) close() error {
	if b == nil {
		return nil // closed before
	}
	var errs []error
	for _, s := range b.sizes {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// statements are all that the writer says to the file, but for a few rare ones.
type statements struct {
	begin, commit                                        *bulk
	messages, change, cut, deleteMessages                *bulk
	deliveries, deleteDeliveries, dead, revive, deferred *bulk
	bound, deleteBound, meta, state, deleteState, totals *bulk
	keyStatements
}

// keyStatements are about what is known of messages that came before.
type keyStatements struct{ seen, dropSeen, failed, deleteFailed, dropFailed *bulk }

func newStatements() *statements {
	return &statements{
		begin:  newBulk("BEGIN IMMEDIATE", "", ""),
		commit: newBulk("COMMIT", "", ""),

		messages: newBulk("INSERT INTO messages (id, at, origin, mail, answers, delayed, sender, reply, receipt, expires, keys, body) VALUES ",
			"(?,?,?,?,?,?,?,?,?,?,?,?)", ""),
		change:         newBulk("UPDATE messages SET answers=?, delayed=?, dropped=?, reason=? WHERE id=?", "", ""),
		cut:            newBulk("UPDATE messages SET body=? WHERE id=?", "", ""),
		deleteMessages: newBulk("DELETE FROM messages WHERE id IN (", "?", ")"),

		deliveries: newBulk("INSERT INTO legs (seq, msg, leg, side, kind, dest, lane, state, attempts, waited, next_at, note) VALUES ",
			"(?,?,?,?,?,?,?,0,0,0,0,?)", ""),
		deleteDeliveries: newBulk("DELETE FROM legs WHERE seq IN (", "?", ")"),
		dead:             newBulk("UPDATE legs SET state=1, attempts=?, reason=?, note=? WHERE seq=?", "", ""),
		revive:           newBulk("UPDATE legs SET state=0, attempts=0, waited=0, next_at=0, reason=NULL, note=? WHERE seq=?", "", ""),
		deferred:         newBulk("UPDATE legs SET attempts=?, waited=?, next_at=?, reason=? WHERE seq=?", "", ""),

		bound:       newBulk("INSERT INTO bound (seq, ord, how) VALUES ", "(?,?,?)", " ON CONFLICT (seq) DO UPDATE SET how=excluded.how"),
		deleteBound: newBulk("DELETE FROM bound WHERE seq IN (", "?", ")"),
		meta:        newBulk("INSERT INTO meta (k, v) VALUES ", "(?,?)", " ON CONFLICT (k) DO UPDATE SET v=excluded.v"),
		state:       newBulk("INSERT INTO side_state (side, key, value) VALUES ", "(?,?,?)", " ON CONFLICT (side, key) DO UPDATE SET value=excluded.value"),
		deleteState: newBulk("DELETE FROM side_state WHERE side=? AND key=?", "", ""),
		totals:      newBulk("INSERT INTO totals (name, side, reason, n) VALUES ", "(?,?,?,?)", " ON CONFLICT (name, side, reason) DO UPDATE SET n=excluded.n"),

		keyStatements: keyStatements{
			seen:         newBulk("INSERT INTO seen (n, gen, ran, keys) VALUES ", "(?,?,?,?)", ""),
			failed:       newBulk("INSERT INTO failed (msg, gen, reason) VALUES ", "(?,?,?)", " ON CONFLICT (msg) DO UPDATE SET gen=excluded.gen, reason=excluded.reason"),
			deleteFailed: newBulk("DELETE FROM failed WHERE msg IN (", "?", ")"),
			dropSeen:     newBulk("DELETE FROM seen WHERE gen <= ? AND n <= ?", "", ""),
			dropFailed:   newBulk("DELETE FROM failed WHERE gen <= ?", "", ""),
		},
	}
}

// one runs a statement that has no rows to repeat.
func (b *bulk) one(conn *sql.Conn, args ...any) error {
	last := len(b.sizes) - 1
	if b.sizes[last] == nil {
		stmt, err := conn.PrepareContext(context.Background(), b.head)
		if err != nil {
			return err
		}
		b.sizes[last] = stmt
	}
	_, err := b.sizes[last].ExecContext(context.Background(), args...)
	return err
}

func (s *statements) close() error {
	var errs []error
	for _, b := range []*bulk{s.begin, s.commit, s.messages, s.change, s.cut, s.deleteMessages, s.deliveries, s.deleteDeliveries, s.dead,
		s.revive, s.deferred, s.bound, s.deleteBound, s.seen, s.failed, s.deleteFailed, s.meta, s.state, s.deleteState, s.totals, s.dropSeen, s.dropFailed} {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}

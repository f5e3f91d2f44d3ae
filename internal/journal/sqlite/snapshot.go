package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"chatrelay/internal/journal/picture"
)

// snapshot is one state of a journal's two files, whoever writes them meanwhile: the log has all that the tables do not.
type snapshot struct {
	tables, log *sql.Conn // log is nil: a version that had none
	id          string
	position    Position // of the tables
	first, last uint64   // frames of the log
	synced      bool     // each frame was on the disk before it was answered
}

// lookAttempts: so often the tables are looked at anew when the log has been cut meanwhile: a running relay has gone on.
const lookAttempts = 5

// errGone says that frames have gone which the tables, as they are seen, do not have yet: they are to be looked at again.
var errGone = errors.New("the log has been cut meanwhile")

// snapshot has something done with one state of both files.
func (r *Reader) snapshot(ctx context.Context, do func(*snapshot) error) (err error) {
	for range lookAttempts {
		s := &snapshot{}
		if err = s.open(ctx, r); err == nil {
			err = do(s)
		}
		s.close()
		if !errors.Is(err, errGone) {
			break
		}
	}
	return err
}

// open looks at the tables first: what they do not have is in the log, then or later.
func (s *snapshot) open(ctx context.Context, r *Reader) (err error) {
	if s.tables, err = begin(ctx, r.db); err != nil || r.log == nil {
		return err
	}
	t := tablesOf(s.tables)
	if s.position, err = t.Position(); err != nil { // the first to read: from here on nothing changes
		return err
	}
	if err := t.meta(metaID, &s.id); err != nil {
		return err
	}
	if s.log, err = begin(ctx, r.log); err != nil {
		return err
	}
	if s.first, s.last, err = frames(s.log); err != nil {
		return Damaged(err)
	}
	if s.synced, err = checkLog(s.log, s.id, nil); err != nil {
		return Damaged(err)
	}
	switch {
	case s.last < s.position.N && s.synced: // else the machine has lost what the tables have
		return fmt.Errorf("%w: %s ends with frame %d, the tables stand at %d", ErrDamaged, LogName, s.last, s.position.N)
	case s.last > s.position.N && s.first > s.position.N:
		return fmt.Errorf("%w: %w", ErrDamaged, errGone)
	}
	return nil
}

// begin begins to read one state of a file.
func begin(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := run(conn, "BEGIN"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func frames(db execer) (first, last uint64, err error) {
	err = db.QueryRowContext(context.Background(), "SELECT coalesce(min(n), 0), coalesce(max(n), 0) FROM log").Scan(&first, &last)
	return first, last, err
}

func (s *snapshot) close() {
	s.closeLog()
	end(s.tables)
	s.tables = nil
}

func (s *snapshot) closeLog() {
	end(s.log)
	s.log = nil
}

// end ends what begin began.
func end(conn *sql.Conn) {
	if conn != nil {
		_ = run(conn, "ROLLBACK")
		_ = conn.Close() // it goes back to those that may be used again
	}
}

// tablesOf are tables that are only read, by one connection.
func tablesOf(conn *sql.Conn) *Tables {
	return &Tables{conn: conn, folder: &Folder{}, stmts: newStatements()}
}

// load makes the picture that the tables are of.
func (s *snapshot) load() (*picture.Picture, error) {
	return tablesOf(s.tables).Load(func(_, ran int64) int64 { return ran })
}

// errEnough ends a replay before the log's end.
var errEnough = errors.New("enough frames")

// replay makes true what the log has between two frames, and says what each was.
func (s *snapshot) replay(p *picture.Picture, from, to uint64, each func([]picture.Fact, *picture.Changes)) error {
	err := readFrames(s.log, seed(s.id), from, func(n uint64, frame []byte) error {
		if n > to {
			return errEnough
		}
		if len(frame) == 0 && n == s.first { // the log begins behind it
			return nil
		}
		h, facts, err := picture.Decode(bytes.Clone(frame))
		if err == nil && h.N != n {
			err = fmt.Errorf("%w: frame %d of %s says that it is frame %d", ErrDamaged, n, LogName, h.N)
		}
		if err == nil {
			each(facts, p.Apply(h, facts))
		}
		return err
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Reader looks into a journal beside a running relay, or without one. It changes nothing and holds no lock for long.
type Reader struct {
	dir     string
	db, log *sql.DB // log is nil: a version that had none
}

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
	r := &Reader{dir: dir}
	if r.db, err = openRead(ownDriver, path); err != nil {
		return nil, fmt.Errorf("journal: %w", Damaged(err))
	}
	if err = checkSchema(r.db); err == nil {
		err = r.openLog()
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", errors.Join(Damaged(err), r.Close()))
	}
	return r, nil
}

// openLog opens the log beside the tables, unless they are of a version that had none.
func (r *Reader) openLog() error {
	version, err := pragma(r.db, "user_version")
	if err != nil || version < firstWithLog {
		return err
	}
	path := filepath.Join(r.dir, LogName)
	if err := checkHeader(path); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s is gone. Bring back a copy of the whole folder", ErrDamaged, path)
	} else if err != nil {
		return err
	}
	r.log, err = openRead(ownDriver, path)
	return err
}

// Close ends the looking.
func (r *Reader) Close() error {
	err := r.db.Close()
	if r.log != nil {
		err = errors.Join(err, r.log.Close())
	}
	return err
}

// List lists deliveries, oldest first.
func (r *Reader) List(ctx context.Context, f Filter) (found []DeliveryInfo, err error) {
	err = r.look(ctx, func(db execer, t *tail) error {
		if t == nil {
			found, err = list(ctx, db, f)
		} else {
			found, err = t.list(ctx, db, f)
		}
		return err
	})
	return found, err
}

// Show gives the deliveries of a message that are open or dead, and its body.
func (r *Reader) Show(ctx context.Context, msg uint64) (found []DeliveryInfo, body []byte, err error) {
	err = r.look(ctx, func(db execer, t *tail) error {
		if t == nil {
			found, body, err = show(ctx, db, msg)
		} else {
			found, body, err = t.show(ctx, db, msg)
		}
		return err
	})
	return found, body, err
}

// Known tells what is known of a message by its number; ErrUnknown: nothing.
func (r *Reader) Known(ctx context.Context, msg uint64) (m MessageInfo, err error) {
	err = r.look(ctx, func(db execer, t *tail) error {
		if t == nil {
			m, err = known(ctx, db, msg)
		} else {
			m, err = t.known(ctx, db, msg)
		}
		return err
	})
	return m, err
}

// lookAgain: so often the tables are looked at anew when the log has been cut meanwhile: a running relay has gone on.
const lookAttempts = 5

// look has something done with one state of the tables, and with what the log has beyond it; nil: nothing.
func (r *Reader) look(ctx context.Context, do func(execer, *tail) error) (err error) {
	for range lookAttempts {
		var retry bool
		if retry, err = r.lookOnce(ctx, do); !retry {
			return err
		}
	}
	return err
}

func (r *Reader) lookOnce(ctx context.Context, do func(execer, *tail) error) (retry bool, err error) {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := run(conn, "BEGIN"); err != nil {
		return false, err
	}
	defer func() { _ = run(conn, "ROLLBACK") }()
	if r.log == nil {
		return false, do(conn, nil)
	}
	t, err := readTail(ctx, conn, r.log)
	if errors.Is(err, errGone) {
		return true, err
	}
	if err != nil {
		return false, err
	}
	return false, do(conn, t)
}

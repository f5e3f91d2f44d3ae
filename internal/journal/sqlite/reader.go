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
	err = r.look(ctx, func(s *snapshot, t *tail) error {
		if t == nil {
			found, err = list(ctx, s.tables, f)
		} else {
			found, err = t.list(ctx, s.tables, f)
		}
		return err
	})
	return found, err
}

// Show gives the deliveries of a message that are open or dead, and its body.
func (r *Reader) Show(ctx context.Context, msg uint64) (found []DeliveryInfo, body []byte, err error) {
	err = r.look(ctx, func(s *snapshot, t *tail) error {
		if t == nil {
			found, body, err = show(ctx, s.tables, msg)
		} else {
			found, body, err = t.show(ctx, s.tables, msg)
		}
		return err
	})
	return found, body, err
}

// Known tells what is known of a message by its number; ErrUnknown: nothing.
func (r *Reader) Known(ctx context.Context, msg uint64) (m MessageInfo, err error) {
	err = r.look(ctx, func(s *snapshot, t *tail) error {
		if t == nil {
			m, err = known(ctx, s.tables, msg)
		} else {
			m, err = t.known(ctx, s.tables, msg)
		}
		return err
	})
	return m, err
}

// look has something done with one state of the journal, and with what the log has beyond the tables; nil: nothing.
func (r *Reader) look(ctx context.Context, do func(*snapshot, *tail) error) error {
	return r.snapshot(ctx, func(s *snapshot) error {
		t, err := s.tail()
		if err != nil {
			return err
		}
		return do(s, t)
	})
}

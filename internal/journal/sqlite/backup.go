package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	driver "modernc.org/sqlite"
)

// Copy is what was copied of a journal.
type Copy struct {
	ID   string
	Last uint64 // frame
}

// Backup copies a journal into a folder that is not there yet, or empty: one state of it, whoever writes it meanwhile. If it does
// not come to its end the folder is left as it was; a start refuses what a kill leaves there.
func (r *Reader) Backup(ctx context.Context, dir string) (made Copy, err error) {
	if r.log == nil {
		return made, fmt.Errorf("journal: the tables are of an older version, which had no %s: stop the relay and copy the folder", LogName)
	}
	err = r.snapshot(ctx, func(s *snapshot) error {
		made = Copy{s.id, max(s.last, s.position.N)}
		return s.backup(ctx, dir)
	})
	if err != nil {
		err = fmt.Errorf("journal: backup: %w", Damaged(err))
	}
	return made, err
}

func (s *snapshot) backup(ctx context.Context, dir string) error {
	f, err := newFolder(dir)
	if err != nil {
		return err
	}
	if err = s.copyInto(ctx, f); err != nil {
		return errors.Join(err, f.empty())
	}
	return f.Unlock()
}

// newFolder makes a folder for a copy, and takes it. Nothing that is there is touched.
func newFolder(dir string) (*Folder, error) {
	if err := holdsOnly(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := LockFolder(dir)
	if err != nil {
		return nil, err
	}
	if err := holdsOnly(dir, LockName); err != nil { // somebody else was here at the same time
		return nil, errors.Join(err, f.Unlock())
	}
	if size(f.lockFile.Name()) > 0 {
		return nil, errors.Join(fmt.Errorf("%s has another journal: name a folder that is not there yet", dir), f.Unlock())
	}
	return f, nil
}

// holdsOnly says what else than some names a folder has.
func holdsOnly(dir string, names ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if len(names) == 0 || e.Name() != names[0] {
			return fmt.Errorf("%s is not empty, there is %s: name a folder that is not there yet", dir, e.Name())
		}
	}
	return nil
}

// copyInto copies both files. The journal's id comes first: so a folder without its tables is never taken for a new one. They come
// last, and the log before them, which is short: a relay that runs cannot make room in it meanwhile.
func (s *snapshot) copyInto(ctx context.Context, f *Folder) error {
	if err := f.syncParents(); err != nil {
		return err
	}
	if err := f.writeID(s.id); err != nil {
		return err
	}
	err := f.create(LogName, func(conn *sql.Conn) error {
		return fillLog(conn, s.id, s.position.N, func() error { return s.copyFrames(ctx, conn) })
	})
	if err != nil {
		return err
	}
	s.closeLog()
	return f.create(FileName, func(conn *sql.Conn) error {
		if err := s.copyTables(ctx, filepath.Join(f.dir, FileName+draft)); err != nil {
			return err
		}
		return integrityCheck(conn)
	})
}

// copyFrames copies what the tables do not have.
func (s *snapshot) copyFrames(ctx context.Context, to *sql.Conn) error {
	return readFrames(s.log, seed(s.id), s.position.N+1, func(n uint64, frame []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return insertFrame(to, seed(s.id), n, frame)
	})
}

// copyStep is how many pages are copied at a time.
const copyStep = 1024

// copyTables has SQLite copy the tables, as this connection sees them, into a file.
func (s *snapshot) copyTables(ctx context.Context, path string) error {
	return s.tables.Raw(func(conn any) error {
		b, err := conn.(interface {
			NewBackup(to string) (*driver.Backup, error)
		}).NewBackup(dsn(path, nil))
		if err != nil {
			return err
		}
		for more := true; more && err == nil; {
			if more, err = b.Step(copyStep); err == nil {
				err = ctx.Err()
			}
		}
		return errors.Join(err, b.Finish())
	})
}

// empty takes away what was made in a new folder.
func (h *Folder) empty() error {
	var errs []error
	for _, name := range []string{FileName, LogName} {
		for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
			for _, x := range []string{name + suffix, name + draft + suffix} {
				if err := os.Remove(filepath.Join(h.dir, x)); !errors.Is(err, os.ErrNotExist) {
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(append(errs, os.Remove(h.lockFile.Name()), h.Unlock())...)
}

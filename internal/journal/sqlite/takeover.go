package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// OldName is what the file of the tables was called in earlier versions. Its log belongs to it by name.
const OldName = "book.db"

// find gives the name of the file that a folder holds. A kill leaves one or the other, for a rename is never half done;
// which of two is the right one nobody can tell.
func find(dir string) (string, error) {
	_, err := os.Stat(filepath.Join(dir, FileName))
	_, errOld := os.Stat(filepath.Join(dir, OldName))
	switch {
	case err == nil && errOld == nil:
		return "", fmt.Errorf("%w: both %s and %s are in %s. Move the one away that does not belong there", ErrDamaged, FileName, OldName, dir)
	case errors.Is(err, os.ErrNotExist) && !errors.Is(errOld, os.ErrNotExist):
		return OldName, errOld
	}
	return FileName, err
}

// takeOver gives an old file the new name. While somebody looks into it, or the disk is full, its log stays; then it is
// served under the old name, and the next start tries again.
func (h *Folder) takeOver() error {
	h.name = OldName
	if err := checkHeader(h.path()); err != nil {
		return err
	}
	checkpointed, err := h.checkpointLog()
	if err != nil {
		return Damaged(err)
	}
	if _, err := os.Stat(h.path() + "-wal"); !checkpointed || err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := h.Sync(h.dir); err != nil { // no power cut brings the log back beside the new name
		return err
	}
	if err := os.Rename(h.path(), filepath.Join(h.dir, FileName)); err != nil {
		return err
	}
	h.name = FileName
	return h.Sync(h.dir)
}

// checkpointLog brings the log into the file and closes it. It writes the journal's id into the lock file, too: without the file of its name and with the
// id an earlier version refuses to start, where it would begin a new journal.
func (h *Folder) checkpointLog() (checkpointed bool, err error) {
	left := unclean(h.path())
	db, conn, err := h.connect()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close(), db.Close()) }()
	if left && size(h.path()) <= checkedBytes {
		if err := integrityCheck(conn); err != nil {
			return false, err
		}
	}
	var busy, logged, moved int
	ctx := context.Background()
	err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved)
	if DiskFull(err) {
		return false, nil // a relay starts on a full disk
	}
	if err != nil {
		return false, err
	}
	var id string
	if err := conn.QueryRowContext(ctx, "SELECT v FROM meta WHERE k = ?", metaID).Scan(&id); err != nil {
		return false, err
	}
	return busy == 0, h.writeID(id)
}

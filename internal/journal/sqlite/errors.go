package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// ErrFull says that nothing can be written for now: there is no room, or somebody else holds the file. It may be tried
// again. After any other error of Append the process must end.
var ErrFull = errors.New("the log cannot be written to for now")

// ErrDamaged says that the files cannot be trusted. Nothing is repaired or started afresh by itself.
var ErrDamaged = errors.New("the journal is damaged")

// ErrCut says that a frame is not in the log any more.
var ErrCut = errors.New("the frame has been cut")

// DiskFull tells a disk without room from a broken one. The shared-memory file of the log grows by itself, and SQLite
// gives that its own code.
func DiskFull(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && (e.Code()&0xff == codes.SQLITE_FULL || e.Code() == codes.SQLITE_IOERR_SHMSIZE)
}

// Temporary tells whether an error may go away by itself: no room, or someone else's lock on the file.
func Temporary(err error) bool {
	if errors.Is(err, ErrFull) {
		return true
	}
	var e *driver.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return DiskFull(err) || code == codes.SQLITE_BUSY || code == codes.SQLITE_LOCKED
}

// Permanent tells whether what could not be read will not be readable later either: it is damaged or not there. No memory,
// no descriptors, a disk that is away for a moment are no reason to give a message up.
func Permanent(err error) bool {
	var e *driver.Error
	return !Temporary(err) && (!errors.As(err, &e) || e.Code()&0xff == codes.SQLITE_CORRUPT)
}

// Damaged adds to SQLite's word for a corrupt file what to do about it.
func Damaged(err error) error {
	var e *driver.Error
	if errors.As(err, &e) {
		if code := e.Code() & 0xff; code == codes.SQLITE_CORRUPT || code == codes.SQLITE_NOTADB {
			return fmt.Errorf("%w (%w): bring back a copy, or move the folder away to start without it", ErrDamaged, err)
		}
	}
	return err
}

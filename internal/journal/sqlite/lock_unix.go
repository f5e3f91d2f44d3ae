//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// ErrLocked says that the folder has an owner.
var ErrLocked = errors.New("another chatrelay is using this folder: stop it, or give this one a folder of its own")

// tryLock takes the folder's lock, which the system drops with the process however it ends.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

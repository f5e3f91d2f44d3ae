//go:build unix

package journal

import (
	"errors"
	"os"
	"syscall"
)

var errLocked = errors.New("another chatrelay is using this folder: stop it, or give this one a folder of its own")

// tryLock takes the folder's lock, which the system drops with the process however it ends.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

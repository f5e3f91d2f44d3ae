//go:build !unix

package sqlite

import (
	"errors"
	"os"
)

// ErrLocked says that the folder has an owner.
var ErrLocked = errors.New("a durable journal needs a Unix system (flock): use STORE=memory here")

func tryLock(*os.File) error { return ErrLocked }

//go:build !unix

package journal

import (
	"errors"
	"os"
)

var errLocked = errors.New("a durable journal needs a Unix system (flock): use STORE=memory here")

func tryLock(*os.File) error { return errLocked }

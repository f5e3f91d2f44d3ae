//go:build !unix

package journal

import (
	"errors"
	"os"
)

var errHeld = errors.New("a durable book needs a Unix system (flock): use STORE=memory here")

func hold(*os.File) error { return errHeld }

package fix

import (
	"errors"
	"io"
	"net"
)

// Loss is one fixed word for how a connection that was in use has ended, for counting. What only one side knows it has named before.
func Loss(err error) string {
	var timeout net.Error
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "closed"
	case reset(err):
		return "reset"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "other"
}

package stanza

import (
	"errors"
	"net"
	"strings"
)

// Kind is an error without what differs from one time to the next: ports, times, counts, names that servers make. It is for
// comparing.
func Kind(err error) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, Short(err))
}

// Short is an error for people, without our own port.
func Short(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

//go:build !linux

package mqttside

import (
	"context"
	"syscall"
)

// userTimeout has no equal elsewhere; pings and the write deadline remain.
func userTimeout(context.Context, string, string, syscall.RawConn) error { return nil }

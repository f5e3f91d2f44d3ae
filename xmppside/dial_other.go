//go:build !linux

package xmppside

import (
	"context"
	"syscall"
)

// userTimeout has no equal elsewhere; package sm's own watch remains.
func userTimeout(context.Context, string, string, syscall.RawConn) error { return nil }

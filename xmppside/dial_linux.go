package xmppside

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"
)

// userTimeout makes the kernel give up a connection whose peer acknowledges nothing.
func userTimeout(_ context.Context, _, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTime.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}

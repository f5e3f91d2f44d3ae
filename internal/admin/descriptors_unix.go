//go:build unix

package admin

import (
	"math"

	"golang.org/x/sys/unix"
)

// descriptors is how many this process may have open.
func descriptors() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxUint64 // nobody knows: as many as anybody needs
	}
	return uint64(limit.Cur)
}

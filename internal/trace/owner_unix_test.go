//go:build unix

package trace

import (
	"os"
	"syscall"
	"testing"

	"chatrelay/bridge"
)

// TestOwner: what root does to dead letters by a command leaves no file that the relay's user cannot write to.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files for others")
	}
	const user = 65532
	dir := t.TempDir()
	if err := os.Chown(dir, user, user); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, dir, 1<<20)
	r.Offered([]*bridge.Record{taken(7, "a", "1001", "1002")})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name(dir, 0))
	if err != nil {
		t.Fatal(err)
	}
	if is := info.Sys().(*syscall.Stat_t); is.Uid != user || is.Gid != user {
		t.Errorf("the file is %d's, the folder %d's", is.Uid, user)
	}
}

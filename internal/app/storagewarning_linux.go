package app

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// storageWarning says what is wrong with a place for the journal; empty: nothing that can be seen.
func storageWarning(dir string) string {
	if dir == "memory" {
		return "is memory: nothing outlives the process"
	}
	st, err := fileSystem(dir)
	if err != nil {
		return ""
	}
	switch st.Type {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return "lies in memory (tmpfs): it is gone with the machine; put it on a disk or a volume"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "lies inside the container: it is gone with it; put it on a volume"
	case unix.NFS_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "lies on a network file system, whose locks SQLite cannot trust; put it on a disk or a block volume"
	}
	return ""
}

// fileSystem is that of a folder, which may be still to be made.
func fileSystem(dir string) (st unix.Statfs_t, err error) {
	at := filepath.Clean(dir)
	for at != filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		}
		at = filepath.Dir(at)
	}
	return st, unix.Statfs(at, &st)
}

// freeBytes is what the relay may still fill of a folder's disk.
func freeBytes(dir string) (n int64, ok bool) {
	st, err := fileSystem(dir)
	if dir == "memory" || err != nil {
		return 0, false
	}
	return int64(min(st.Bavail, 1<<40)) * st.Bsize, true
}

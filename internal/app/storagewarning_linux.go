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
	var st unix.Statfs_t
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err != nil && at != filepath.Dir(at) {
			continue // it will be made there
		}
		if unix.Statfs(at, &st) != nil {
			return ""
		}
		break
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

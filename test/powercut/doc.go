// Package powercut is a disk whose power can be cut: a FUSE file system in memory that knows what was synced.
//
// After a cut there is what was synced, and a random half of the rest:
//
//   - of each file the content at its last fsync, and of the 512-byte sectors written since each one by chance;
//   - a size that was not synced is the old one or the new one;
//   - of the entries of a folder (made, renamed, removed) those before its last fsync, and of the later ones the
//     first few: a journaling file system keeps their order. fsync of a file does not save its entry.
//
// It is stricter than ext4 or XFS in the last point, and about as strict as POSIX. What it does not do: torn sectors,
// and sectors that were synced and rot.
//
// It needs /dev/fuse and the right to mount; where they are missing, Mount skips the test and says so.
package powercut

package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the driver
)

const (
	memoryDir  = "/dev/shm" // a tmpfs
	memoryRoom = 256 << 20
)

// databaseDir is a folder for SQLite: in memory where that has room. It outlives a SIGKILL there as well as on a disk,
// and four commits for each message, with an fsync each, would measure the machine's disk.
func (x *XMPP) databaseDir() string {
	var fs unix.Statfs_t
	if unix.Statfs(memoryDir, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < memoryRoom {
		return x.Dir
	}
	dir, err := os.MkdirTemp(memoryDir, x.Name+"-")
	if err != nil {
		return x.Dir // it is not for us
	}
	x.ends = append(x.ends, func() { _ = os.RemoveAll(dir) }) // what is left goes with the machine
	return dir
}

// makeDatabase makes the SQLite database, with what the server wants in it from the start.
func (x *XMPP) makeDatabase(ctx context.Context, schema string) error {
	db, err := sql.Open("sqlite", x.Database)
	if err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode = WAL;"+schema) // the mode stays with the file: one fsync per commit
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("servers: %s's database: %w", x.Name, err)
	}
	return nil
}

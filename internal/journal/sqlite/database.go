package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// Database is a database that holds the tables in SQLite's place, and understands what they say to it.
type Database struct {
	Write, Bodies, Lists *sql.DB // a connection each: nothing of a reader's is in the writer's way
	// Used is how many bytes it holds. Asked by the one who writes, on his connection.
	Used func(context.Context, *sql.Conn) (int64, error)
}

// OpenDatabase opens tables that are there already. The databases stay their owner's.
func OpenDatabase(e Database) (*Tables, error) {
	conn, err := e.Write.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	t := &Tables{folder: &Folder{}, stmts: newStatements(), conn: conn, reader: &readers{e.Bodies, e.Lists}}
	t.size = func() (int64, error) { return e.Used(context.Background(), conn) }
	if err = t.meta(metaID, &t.id); err == nil {
		t.used, err = t.size()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return t, nil
}

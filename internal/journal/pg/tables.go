package pg

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"chatrelay/internal/journal/sqlite"
)

// size is how much the tables take, as it was last counted.
type size struct {
	bytes int64
	at    time.Duration
}

const (
	fewBytes   = 64 << 20         // up to here the files' size is good enough, what is free in them included
	countEvery = 30 * time.Second // else the rows are counted, but not more often
)

// Tables opens the tables of the slot. The lease must be held.
func (s *Store) Tables() (*sqlite.Tables, error) {
	return sqlite.OpenDatabase(sqlite.Database{Write: s.writes, Bodies: s.bodies, Lists: s.lists, Used: s.tablesUsed})
}

// tablesUsed is asked at the start and after a checkpoint.
func (s *Store) tablesUsed(ctx context.Context, conn *sql.Conn) (int64, error) {
	const names = "messages,legs,bound,seen,failed,side_state,totals"
	var files int64
	var sizes []string
	for name := range strings.SplitSeq(names, ",") {
		sizes = append(sizes, "pg_total_relation_size('"+s.schema+"."+name+"')")
	}
	if err := conn.QueryRowContext(ctx, "SELECT "+strings.Join(sizes, " + ")).Scan(&files); err != nil || files < fewBytes {
		return files, err
	}
	if s.used.at > 0 && s.elapsed()-s.used.at < countEvery {
		return s.used.bytes, nil
	}
	var bodies, rows int64
	err := conn.QueryRowContext(ctx, "SELECT CAST(coalesce(sum(octet_length(body)), 0) AS bigint), count(*) FROM messages").Scan(&bodies, &rows)
	if err == nil {
		s.used = size{bodies + rows*4*rowBytes, s.elapsed()}
	}
	return s.used.bytes, err
}

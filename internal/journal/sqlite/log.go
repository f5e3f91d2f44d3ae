package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// cutRows: so many old frames go with one new one.
const cutRows = 64

// Log is the frames of a journal, the newest ones. One goroutine appends, cuts and vacuums; any may call Piece and Read.
type Log struct {
	path   string
	db     *sql.DB
	conn   *sql.Conn // the writer's
	reader *sql.DB   // reads beside it
	seed   uint32
	insert *sql.Stmt
	delete *sql.Stmt

	first, last uint64 // in the file
	cutBelow    uint64 // frames below it may go
	broken      error  // nothing can be written any more
	clean       bool   // nothing was written since the last Vacuum
}

// OpenLog opens the log of a journal whose tables stand somewhere. syncs: a frame is on the disk when it is appended; else
// it outlives the process, but not the machine.
func OpenLog(f *Folder, journal string, tables Position, syncs bool) (_ *Log, err error) {
	path := filepath.Join(f.dir, LogName)
	if err := checkHeader(path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is gone. Bring back a copy of the whole folder", ErrDamaged, path)
	} else if err != nil {
		return nil, err
	}
	l := &Log{path: path, seed: seed(journal)}
	defer func() {
		if err != nil {
			err = Damaged(errors.Join(err, l.Close()))
		}
	}()
	torn, left := checkWAL(path+"-wal"), unclean(path)
	if l.db, l.conn, err = openWrite(f.driver, dsn(path, nil)); err != nil {
		return nil, err
	}
	synced, err := checkLog(l.conn, journal, torn)
	if err != nil {
		return nil, err
	}
	if left && size(path) <= checkedBytes {
		if err := integrityCheck(l.conn); err != nil {
			return nil, err
		}
	}
	if err := l.settings(f.dir, syncs); err != nil {
		return nil, err
	}
	if err := l.bounds(tables.N, synced); err != nil {
		return nil, err
	}
	if err := l.belongs(tables); err != nil {
		return nil, err
	}
	if err := l.forgetProbe(); err != nil && !Temporary(err) {
		return nil, err // it is only there if the process ended in the midst of a probe
	}
	if l.insert, err = l.conn.PrepareContext(context.Background(), "INSERT INTO log (n, sum, frame) VALUES (?, ?, ?)"); err != nil {
		return nil, err
	}
	if l.delete, err = l.conn.PrepareContext(context.Background(), "DELETE FROM log WHERE n < ?"); err != nil {
		return nil, err
	}
	l.reader, err = openRead(f.readDriver, path)
	return l, err
}

// bounds finds out which frames there are. Frame n must be one of them; where frames were not synced the machine may have lost
// it, with all that the tables have anyway.
func (l *Log) bounds(n uint64, synced bool) error {
	var first, last sql.NullInt64
	if err := l.conn.QueryRowContext(context.Background(), "SELECT min(n), max(n) FROM log").Scan(&first, &last); err != nil {
		return err
	}
	l.first, l.last = uint64(first.Int64), uint64(last.Int64)
	if first.Valid && l.last < n && !synced {
		l.first, l.last = n, n
		return beginAt(l.conn, l.seed, n)
	}
	if !first.Valid || n < l.first || n > l.last {
		return fmt.Errorf("%w: %s has the frames %d to %d, the tables stand at %d: bring back a copy of the whole folder", ErrDamaged, LogName, l.first, l.last, n)
	}
	return nil
}

// belongs looks whether the tables have made of this log what they are: each of the two may be a copy of another time.
func (l *Log) belongs(tables Position) error {
	var sum uint32
	err := l.conn.QueryRowContext(context.Background(), "SELECT sum FROM log WHERE n = ? AND length(frame) > 0", int64(tables.N)).Scan(&sum)
	switch {
	case errors.Is(err, sql.ErrNoRows): // it begins there
		return nil
	case err == nil && tables.Sum != 0 && sum != tables.Sum:
		return fmt.Errorf("%w: frame %d of %s is not the one that the tables know: the two files are of different times. Bring back a copy of the whole folder",
			ErrDamaged, tables.N, LogName)
	}
	return err
}

// Last is the number of the newest frame.
func (l *Log) Last() uint64 { return l.last }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seed(journal string) uint32 { return crc32.Checksum([]byte(journal), castagnoli) }

// Sum is the sum of a frame of a journal.
func Sum(journal string, n uint64, frame []byte) uint32 { return sum(seed(journal), n, frame) }

func sum(seed uint32, n uint64, frame []byte) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, binary.BigEndian.AppendUint64(nil, n)), castagnoli, frame)
}

// Append writes frame n, which must be one more than the last. When it returns nil it is on the disk. ErrFull: it is not,
// and may be tried again. After any other error nobody knows: the process must end, and the next one reads what there is.
func (l *Log) Append(n uint64, frame []byte) error {
	if l.broken != nil {
		return l.broken
	}
	if n != l.last+1 {
		return fmt.Errorf("frame %d after frame %d", n, l.last)
	}
	err := l.append(n, frame, min(l.cutBelow, l.first+cutRows))
	if Temporary(err) && l.cutBelow > l.first {
		err = l.append(n, frame, 0) // to cut takes room, too
	}
	switch {
	case err == nil:
		l.last, l.clean = n, false
	case Temporary(err):
		err = fmt.Errorf("%w: %w", ErrFull, err)
	default:
		l.broken = Damaged(err) // never a second try: what the disk has of it nobody knows
		err = l.broken
	}
	return err
}

// append writes a frame, and in the same transaction lets go of those below keep.
func (l *Log) append(n uint64, frame []byte, cutBelow uint64) error {
	if cutBelow <= l.first {
		return l.write(n, frame)
	}
	err := run(l.conn, "BEGIN IMMEDIATE")
	if err == nil {
		err = l.write(n, frame)
	}
	if err == nil {
		_, err = l.delete.ExecContext(context.Background(), int64(cutBelow))
	}
	if err == nil {
		err = run(l.conn, "COMMIT")
	}
	if err != nil {
		_ = run(l.conn, "ROLLBACK") // SQLite may have done so by itself
		return err
	}
	l.first = cutBelow
	return nil
}

func (l *Log) write(n uint64, frame []byte) error {
	if frame == nil {
		frame = []byte{}
	}
	_, err := l.insert.ExecContext(context.Background(), int64(n), int64(sum(l.seed, n, frame)), frame)
	return err
}

// Cut lets the frames below one go, little by little with those that are appended. The newest one stays.
func (l *Log) Cut(below uint64) { l.cutBelow = max(l.cutBelow, min(below, l.last)) }

// Read reads all frames from one on, in order. A frame is only good during the call.
func (l *Log) Read(from uint64, each func(n uint64, frame []byte) error) error {
	return readFrames(l.reader, l.seed, from, each)
}

func readFrames(db execer, seed uint32, from uint64, each func(n uint64, frame []byte) error) error {
	rows, err := db.QueryContext(context.Background(), "SELECT n, sum, frame FROM log WHERE n >= ? ORDER BY n", int64(from))
	if err != nil {
		return Damaged(err)
	}
	defer rows.Close()
	want := from
	var frame sql.RawBytes
	for ; rows.Next(); want++ {
		var n, s int64
		if err := rows.Scan(&n, &s, &frame); err != nil {
			return Damaged(err)
		}
		if uint64(n) != want {
			return fmt.Errorf("%w: %s has no frame %d", ErrDamaged, LogName, want)
		}
		if uint32(s) != sum(seed, want, frame) || s != int64(uint32(s)) {
			return fmt.Errorf("%w: frame %d of %s has another sum", ErrDamaged, want, LogName)
		}
		if err := each(want, frame); err != nil {
			return err
		}
	}
	return Damaged(rows.Err())
}

// Piece reads a part of a frame, beside the writer. ErrCut: it has gone.
func (l *Log) Piece(ctx context.Context, n uint64, off, size int) (piece []byte, err error) {
	err = l.reader.QueryRowContext(ctx, "SELECT substr(frame, ?, ?) FROM log WHERE n = ?", off+1, size, int64(n)).Scan(&piece)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrCut
	}
	if err == nil && len(piece) != size {
		err = fmt.Errorf("%w: frame %d of %s has %d of %d bytes at %d", ErrDamaged, n, LogName, len(piece), size, off)
	}
	return piece, err
}

// Room is how many bytes of the file are in use.
func (l *Log) Room() (int64, error) {
	var sum [3]int64
	for i, name := range []string{"page_count", "freelist_count", "page_size"} {
		n, err := pragma(l.conn, name)
		if err != nil {
			return 0, err
		}
		sum[i] = n
	}
	return (sum[0] - sum[1]) * sum[2], nil
}

// Probe finds out whether there is room for so many bytes. It leaves nothing behind.
func (l *Log) Probe(bytes int) error {
	if l.broken != nil {
		return l.broken
	}
	_, err := l.conn.ExecContext(context.Background(), "INSERT INTO meta (k, v) VALUES (?1, zeroblob(?2)) ON CONFLICT DO UPDATE SET v = excluded.v", metaProbe, bytes)
	if err == nil {
		err = l.forgetProbe()
	}
	if Temporary(err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func (l *Log) forgetProbe() error {
	_, err := l.conn.ExecContext(context.Background(), "DELETE FROM meta WHERE k = ?", metaProbe)
	return err
}

// spare is how many free pages the file keeps.
const spare = 1024

// Vacuum is for an idle moment: some of what may go does, SQLite's log is checkpointed, and a slice of what is free in the file is
// given back.
func (l *Log) Vacuum() error {
	if l.broken != nil || l.clean && l.cutBelow <= l.first {
		return l.broken
	}
	cutBelow := max(l.first, min(l.cutBelow, l.first+16*cutRows))
	_, err := l.delete.ExecContext(context.Background(), int64(cutBelow))
	if err == nil {
		l.first = cutBelow
	}
	var free int64
	if err == nil {
		free, err = pragma(l.conn, "freelist_count")
	}
	if err == nil && free > spare {
		err = run(l.conn, "PRAGMA incremental_vacuum(256)")
	}
	if err == nil {
		err = run(l.conn, "PRAGMA wal_checkpoint(PASSIVE)")
	}
	switch {
	case err == nil:
		l.clean = free <= spare && l.cutBelow <= l.first
		return nil
	case Temporary(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	l.broken = Damaged(err)
	return l.broken
}

// Close closes the file. What was appended stays. Once closed it does nothing more.
func (l *Log) Close() error {
	var errs []error
	for _, s := range []*sql.Stmt{l.insert, l.delete} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if l.reader != nil {
		errs = append(errs, l.reader.Close())
	}
	if l.conn != nil {
		errs = append(errs, l.conn.Close())
	}
	if l.db != nil {
		errs = append(errs, l.db.Close()) // the last connection checkpoints SQLite's log
	}
	l.insert, l.delete, l.reader, l.conn, l.db = nil, nil, nil, nil, nil
	return errors.Join(errs...)
}

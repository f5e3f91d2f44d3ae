package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"chatrelay/internal/journal/sqlite"
	"chatrelay/internal/wait"
)

// Log is the frames of a journal, the newest ones. One goroutine appends and cuts; any may call Piece and Read.
type Log struct {
	s       *Store
	journal string
	link    *link // the writer's own

	first, last uint64
	cut         uint64  // what the next checkpoint deletes is below it
	sizes       []int64 // of the frames first to last
	bytes       int64   // of all of them
	broken      error   // nothing can be written any more
}

// Log opens the log of the slot, whose tables stand somewhere. The lease must be held.
func (s *Store) Log(journal string, tables sqlite.Position) (*Log, error) {
	l := &Log{s: s, journal: journal}
	rows, err := l.ask(s.text("SELECT n, sum, octet_length(frame) FROM @log ORDER BY n"))
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	for i, r := range rows {
		n := uint64(number(r[0]))
		if i == 0 {
			l.first = n
		} else if n != l.last+1 {
			return nil, l.damaged("has no frame %d", l.last+1)
		}
		if n == tables.N && tables.Sum != 0 && number(r[2]) > 0 && number(r[1]) != int64(tables.Sum) {
			return nil, l.damaged("has a frame %d that is not the one that the tables know", n)
		}
		l.last = n
		l.grow(number(r[2]))
	}
	if len(rows) == 0 || tables.N < l.first || tables.N > l.last {
		return nil, l.damaged("has the frames %d to %d, the tables stand at %d", l.first, l.last, tables.N)
	}
	l.cut = l.first
	return l, nil
}

func (l *Log) damaged(what string, args ...any) error {
	err := fmt.Errorf("%w: %s.log %s. Bring back a copy of the whole database", sqlite.ErrDamaged, l.s.schema, fmt.Sprintf(what, args...))
	return errors.Join(err, l.Close())
}

func (l *Log) grow(size int64) {
	l.sizes = append(l.sizes, size)
	l.bytes += size + rowBytes
}

// rowBytes is about what a row takes beside its frame.
const rowBytes = 100

// Append writes frame n, which must be one more than the last. When it returns nil it is in the database, and in its synchronous
// standby. It waits while the database is away and the lease lasts. sqlite.ErrFull: it is not written, and may be tried again. After
// any other error nobody knows: the process must end, and whoever leads next reads what there is.
func (l *Log) Append(n uint64, frame []byte) error {
	if l.broken != nil {
		return l.broken
	}
	if n != l.last+1 {
		return fmt.Errorf("frame %d after frame %d", n, l.last)
	}
	w := &write{l: l, n: n, frame: frame, sum: int64(sqlite.Sum(l.journal, n, frame))}
	switch err := w.do(); {
	case err == nil:
		l.last = n
		l.grow(int64(len(frame)))
	case errors.Is(err, sqlite.ErrFull):
		return err
	default:
		l.broken = err
	}
	return l.broken
}

// write is a frame on its way.
type write struct {
	l      *Log
	n      uint64
	frame  []byte
	sum    int64
	unsure bool // nobody knows what became of a try
	there  bool // it is in the database, but maybe not in the standby
}

// do tries until it is known that the frame is written, or will never be.
func (w *write) do() error {
	var pause wait.Backoff
	for {
		if err := w.l.s.Held(); err != nil {
			return err
		}
		err := w.l.connect()
		if err == nil && !w.there {
			err = w.insert()
		} else if err == nil {
			err = w.confirm()
		}
		switch {
		case err == nil && !w.there:
			return nil
		case err == nil: // to be confirmed, at once
		case errors.Is(err, errUnknown), errors.Is(err, errRefused):
			w.l.link.close() // the next try may reach another server
			w.l.link = nil
			time.Sleep(min(pause.Next(time.Now(), 0), beatEvery)) // the writer's own goroutine; the lease bounds it
		case errors.Is(err, sqlite.ErrFull) && w.unsure:
			time.Sleep(min(pause.Next(time.Now(), 0), beatEvery))
		default:
			return err
		}
	}
}

// insert is the commit. there: it has to be confirmed.
func (w *write) insert() error {
	w.l.link.warned = false
	_, written, err := w.l.link.run(w.l.s.text(`WITH l AS MATERIALIZED (SELECT 1 FROM @lease WHERE epoch = $1 AND holder = $2 FOR KEY SHARE)
		INSERT INTO @log (n, sum, epoch, holder, frame) SELECT $3::bigint, $4::bigint, $1, $2, $5::bytea FROM l
		WHERE EXISTS (SELECT FROM @log WHERE n = $3::bigint - 1)`),
		w.l.s.Epoch(), w.l.s.holder, w.n, w.sum, w.frame)
	switch {
	case errors.Is(err, errExists):
		return w.same()
	case errors.Is(err, errUnknown):
		w.unsure = true
		return err
	case err != nil:
		return err
	case written == 0:
		return w.refused()
	}
	w.there = w.l.link.warned // its wait for the standby was cancelled: it is written, but where?
	return nil
}

// same finds out whether the frame that is there is this one.
func (w *write) same() error {
	rows, _, err := w.l.link.run(w.l.s.text("SELECT sum, epoch FROM @log WHERE n = $1 AND holder = $2"), w.n, w.l.s.holder)
	if err != nil {
		return err
	}
	if len(rows) != 1 || number(rows[0][0]) != w.sum || number(rows[0][1]) != w.l.s.Epoch() {
		return fmt.Errorf("%w: it has written frame %d", ErrLost, w.n)
	}
	w.there = true
	return nil
}

// refused finds out why nothing was written.
func (w *write) refused() error {
	rows, _, err := w.l.link.run(w.l.s.text("SELECT max(n), bool_or(l.epoch = $1 AND l.holder = $2) FROM @log, @lease l"), w.l.s.Epoch(), w.l.s.holder)
	switch {
	case err != nil:
		return err
	case number(rows[0][1]) == 0:
		return fmt.Errorf("%w: the lease is not ours any more", ErrLost)
	}
	return fmt.Errorf("%w: the database ends with frame %d and had confirmed %d: it has lost what it confirmed, as a failover to a standby that was behind does",
		sqlite.ErrDamaged, number(rows[0][0]), w.n-1)
}

// confirm commits something else: once that is safe so is all that was committed before.
func (w *write) confirm() error {
	w.l.link.warned = false
	_, written, err := w.l.link.run(w.l.s.text(`WITH l AS MATERIALIZED (SELECT 1 FROM @lease WHERE epoch = $1 AND holder = $2 FOR KEY SHARE)
		INSERT INTO @confirmed SELECT 1, $3::bigint FROM l WHERE EXISTS (SELECT FROM @log WHERE n = $3 AND holder = $2)
		ON CONFLICT (one) DO UPDATE SET n = excluded.n`), w.l.s.Epoch(), w.l.s.holder, w.n)
	switch {
	case err != nil:
		return err
	case written == 0:
		w.there, w.unsure = false, true // a failover has lost it: the next insert writes it, or says who is the holder
		return fmt.Errorf("%w: %w", sqlite.ErrFull, errRefused)
	case w.l.link.warned:
		return fmt.Errorf("%w: %w", sqlite.ErrFull, errRefused)
	}
	w.there = false
	return nil
}

func (l *Log) connect() (err error) {
	if !l.link.alive() {
		l.link, err = l.s.dial(context.Background())
	}
	return err
}

// ask reads something on a connection that may be found dead.
func (l *Log) ask(text string, args ...any) (rows [][][]byte, err error) {
	for range 2 {
		if err = l.connect(); err != nil {
			return nil, err
		}
		if rows, _, err = l.link.run(text, args...); !errors.Is(err, errUnknown) {
			return rows, err
		}
	}
	return nil, err
}

// Cut lets the frames below one go. A checkpoint deletes those that the one before it has made needless (tableConn.begin).
func (l *Log) Cut(below uint64) {
	gone := min(l.cut, l.last) - l.first
	for _, size := range l.sizes[:gone] {
		l.bytes -= size + rowBytes
	}
	l.sizes, l.first = append([]int64{}, l.sizes[gone:]...), l.first+gone
	l.cut = max(l.cut, min(below, l.last))
}

// Last is the number of the newest frame.
func (l *Log) Last() uint64 { return l.last }

// Read reads all frames from one on, in order. A frame is only good during the call.
func (l *Log) Read(from uint64, each func(n uint64, frame []byte) error) error {
	link, err := l.s.dial(context.Background())
	if err != nil {
		return err
	}
	defer link.close()
	rows := link.start(context.Background(), l.s.text("SELECT n, sum, frame FROM @log WHERE n >= $1 ORDER BY n"), from)
	defer rows.Close()
	for want := from; rows.NextRow(); want++ {
		v := rows.Values()
		if n := uint64(number(v[0])); n != want {
			return fmt.Errorf("%w: %s.log has no frame %d", sqlite.ErrDamaged, l.s.schema, want)
		}
		if number(v[1]) != int64(sqlite.Sum(l.journal, want, v[2])) {
			return fmt.Errorf("%w: frame %d of %s.log has another sum", sqlite.ErrDamaged, want, l.s.schema)
		}
		if err := each(want, v[2]); err != nil {
			return err
		}
	}
	_, err = rows.Close()
	return outcome(err)
}

// Piece reads a part of a frame. sqlite.ErrCut: it has gone.
func (l *Log) Piece(ctx context.Context, n uint64, off, size int) (piece []byte, err error) {
	err = l.s.bodies.QueryRowContext(ctx, "SELECT substr(frame, ?, ?) FROM log WHERE n = ?", off+1, size, int64(n)).Scan(&piece)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, sqlite.ErrCut
	}
	if err == nil && len(piece) != size {
		err = fmt.Errorf("%w: frame %d of %s.log has %d of %d bytes at %d", sqlite.ErrDamaged, n, l.s.schema, len(piece), size, off)
	}
	return piece, err
}

// Room is about how many bytes the frames take.
func (l *Log) Room() (int64, error) { return l.bytes, nil }

// Probe finds out whether there is room for so many bytes. It leaves nothing behind.
func (l *Log) Probe(bytes int) error {
	if l.broken != nil {
		return l.broken
	}
	_, err := l.ask(l.s.text("INSERT INTO @probe VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET v = excluded.v"), make([]byte, bytes))
	if err == nil {
		_, err = l.ask(l.s.text("DELETE FROM @probe"))
	}
	return err
}

// Vacuum has nothing to do: autovacuum does it.
func (l *Log) Vacuum() error { return l.broken }

// Close closes the connection. What was appended stays.
func (l *Log) Close() error {
	l.link.close()
	l.link = nil
	return nil
}

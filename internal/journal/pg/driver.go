package pg

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"

	"chatrelay/internal/journal/sqlite"

	"github.com/jackc/pgx/v5/pgconn"
)

// connector makes connections for database/sql, on which the words of package sqlite are PostgreSQL's: placeholders have numbers, tables
// the slot's schema, statements no names in the server; a transaction is one that only the holder of the lease can commit.
type connector struct{ s *Store }

func (c connector) Connect(context.Context) (driver.Conn, error) { return &tableConn{s: c.s}, nil }
func (c connector) Driver() driver.Driver                        { return c }
func (c connector) Open(string) (driver.Conn, error)             { return &tableConn{s: c.s}, nil }

// tableConn is a connection that is made when it is needed, and again when it was lost outside a transaction.
type tableConn struct {
	s    *Store
	link *link
	in   bool   // a transaction
	from string // the frame at which the tables stood when it began
}

func (c *tableConn) Prepare(text string) (driver.Stmt, error) { return &tableStmt{c, text}, nil }
func (c *tableConn) Begin() (driver.Tx, error)                { return nil, errors.New("say BEGIN IMMEDIATE") }

func (c *tableConn) Close() error {
	c.link.close()
	return nil
}

// tableStmt is no more than its text.
type tableStmt struct {
	c    *tableConn
	text string
}

func (s *tableStmt) Close() error  { return nil }
func (s *tableStmt) NumInput() int { return -1 }

func (s *tableStmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (s *tableStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }

func (s *tableStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.text, args)
}

func (s *tableStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.text, args)
}

func (c *tableConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	switch text {
	case "BEGIN IMMEDIATE":
		return driver.ResultNoRows, c.begin(ctx)
	case "COMMIT":
		return driver.ResultNoRows, c.commit()
	case "ROLLBACK":
		return driver.ResultNoRows, c.rollback()
	}
	rows, err := c.QueryContext(ctx, text, args)
	if err != nil {
		return nil, err
	}
	return driver.ResultNoRows, rows.Close()
}

// QueryContext asks once more where a connection that had been idle turns out to be dead: nothing but a transaction writes.
func (c *tableConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := c.query(ctx, text, args)
	if errors.Is(err, errUnknown) && !c.in && ctx.Err() == nil {
		r, err = c.query(ctx, text, args)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (c *tableConn) query(ctx context.Context, text string, args []driver.NamedValue) (*tableRows, error) {
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value
	}
	r := &tableRows{rows: c.link.start(ctx, c.s.words(text), values...)}
	if r.ahead = r.rows.NextRow(); !r.ahead {
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	for _, f := range r.rows.FieldDescriptions() {
		r.names, r.types = append(r.names, f.Name), append(r.types, f.DataTypeOID)
	}
	return r, nil
}

func (c *tableConn) connect(ctx context.Context) (err error) {
	switch {
	case c.link.alive():
		return nil
	case c.in:
		return fmt.Errorf("%w: %w", sqlite.ErrFull, errUnknown)
	}
	c.link, err = c.s.dial(ctx)
	return err
}

// begin also deletes the frames that the checkpoint before this one has made needless. A transaction whose client has gone must not
// hold on to what the next holder of the lease needs.
func (c *tableConn) begin(ctx context.Context) (err error) {
	for range 2 {
		if err = c.connect(ctx); err != nil {
			return err
		}
		var rows [][][]byte
		rows, err = c.link.simple(c.s.text(fmt.Sprintf(`BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = %d;
			SET LOCAL idle_in_transaction_session_timeout = %d; SELECT v FROM @meta WHERE k = 'log_n' FOR UPDATE`,
			lockedMost.Milliseconds(), leaseFor.Milliseconds())))
		if errors.Is(err, errUnknown) {
			continue
		}
		if err == nil && len(rows) != 1 {
			err = fmt.Errorf("%w: %s.meta does not know the log", sqlite.ErrDamaged, c.s.schema)
		}
		if err != nil {
			return errors.Join(err, c.rollback())
		}
		c.in, c.from = true, string(rows[0][0])
		_, _, err = c.link.run(c.s.text("DELETE FROM @log WHERE n < $1"), c.from)
		return err
	}
	return err
}

// commit ends a transaction if the lease is ours. Both in one go: the lease's row is not locked while the server waits for us.
func (c *tableConn) commit() error {
	if !c.link.alive() {
		return fmt.Errorf("%w: %w", sqlite.ErrFull, errUnknown) // for certain it was not done
	}
	_, err := c.link.simple(c.s.text(fmt.Sprintf(
		"SELECT 1 / count(*) FROM (SELECT FROM @lease WHERE epoch = %d AND holder = '%s' FOR KEY SHARE) l; COMMIT", c.s.Epoch(), c.s.holder)))
	if errors.Is(err, errUnknown) {
		err = c.verify()
	}
	switch {
	case err == nil:
		c.in = false
	case errors.Is(err, errBroken):
		err = fmt.Errorf("%w: the lease is not ours any more", ErrLost)
	}
	return err
}

// verify finds out what became of a commit: to lock the row waits for it.
func (c *tableConn) verify() error {
	for {
		if err := c.s.Held(); err != nil {
			return err
		}
		l, err := c.s.dial(context.Background())
		if err == nil {
			var rows [][][]byte
			rows, err = l.simple(c.s.text("SELECT v FROM @meta WHERE k = 'log_n' FOR UPDATE"))
			l.close()
			if err == nil && len(rows) == 1 && string(rows[0][0]) != c.from {
				return nil // each checkpoint goes further than the one before
			}
			if err == nil {
				return fmt.Errorf("%w: %w: the checkpoint was not committed", sqlite.ErrFull, errRefused)
			}
		}
		if !errors.Is(err, sqlite.ErrFull) {
			return err
		}
		time.Sleep(beatEvery / 4) // beside the writer; the lease bounds it
	}
}

func (c *tableConn) rollback() error {
	c.in = false
	if !c.link.alive() {
		return nil
	}
	_, err := c.link.simple("ROLLBACK")
	return err
}

// Placeholders, and the tables where a statement names them.
var (
	placeholder = regexp.MustCompile(`\?`)
	tableNames  = regexp.MustCompile(`\b(FROM|INTO|UPDATE|JOIN) (meta|messages|legs|bound|seen|failed|side_state|totals|log)\b`)
)

// words makes a statement of package sqlite PostgreSQL's.
func (s *Store) words(text string) string {
	n := 0
	text = placeholder.ReplaceAllStringFunc(text, func(string) string {
		n++
		return "$" + strconv.Itoa(n)
	})
	return tableNames.ReplaceAllString(text, "$1 "+s.schema+".$2")
}

// tableRows reads its first row ahead, so that an error is one of the question.
type tableRows struct {
	rows  *pgconn.ResultReader
	ahead bool // the current row is not handed out yet
	names []string
	types []uint32
}

func (r *tableRows) Columns() []string { return r.names }

func (r *tableRows) Close() error {
	_, err := r.rows.Close()
	return outcome(err)
}

func (r *tableRows) Next(dest []driver.Value) error {
	if !r.ahead && !r.rows.NextRow() {
		if err := r.Close(); err != nil {
			return err
		}
		return io.EOF
	}
	r.ahead = false
	for i, v := range r.rows.Values() {
		var err error
		if dest[i], err = value(v, r.types[i]); err != nil {
			return err
		}
	}
	return nil
}

// value makes what SQLite would give of a column.
func value(v []byte, oid uint32) (driver.Value, error) {
	switch {
	case v == nil:
		return nil, nil
	case oid == bytea:
		return v, nil
	case oid == int8OID, oid == int4OID, oid == int2OID, oid == boolOID:
		return number(v), nil
	}
	return decodeText(v)
}

package pg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"chatrelay/internal/journal/sqlite"

	"github.com/jackc/pgx/v5/pgconn"
)

// link is one connection. One goroutine uses it.
type link struct {
	pg     *pgconn.PgConn
	raw    *tracked
	warned bool // the server has warned of something since that was put to false
}

// errNoCancel: the driver asks the server to cancel what runs when a connection breaks. A commit that waits for the standby would be
// answered by that as if it were safe.
var errNoCancel = errors.New("a running statement is never cancelled")

// dial makes a connection.
func (s *Store) dial(ctx context.Context) (*link, error) {
	cfg, l, open := s.cfg.Copy(), &link{}, atomic.Bool{}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if open.Load() {
			return nil, errNoCancel
		}
		raw, err := s.dialer(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.raw = &tracked{Conn: raw, s: s}
		return l.raw, s.track(l.raw)
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { l.warned = l.warned || n.SeverityUnlocalized == "WARNING" }
	pg, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, outcome(err)
	}
	open.Store(true)
	l.pg = pg
	return l, nil
}

// tracked is a connection that the store can cut.
type tracked struct {
	net.Conn
	s      *Store
	closed atomic.Bool
}

func (s *Store) track(c *tracked) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return errors.Join(s.ended, c.Conn.Close())
	}
	s.conns[c] = true
	return nil
}

// Close may be called twice.
func (c *tracked) Close() error {
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	c.closed.Store(true)
	return c.Conn.Close()
}

// end cuts all connections, so that nobody waits for one any more: a commit that is under way in the database is not cancelled by that.
func (s *Store) end(why error) {
	s.mu.Lock()
	if s.ended == nil {
		s.ended = why
	}
	open := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // it is of no more use
	}
}

// text names the tables of the slot in a statement.
func (s *Store) text(statement string) string {
	return strings.ReplaceAll(statement, "@", s.schema+".")
}

// alive tells whether it can be used.
func (l *link) alive() bool { return l != nil && !l.pg.IsClosed() && !l.raw.closed.Load() }

// close ends it. What runs on it in the database goes on.
func (l *link) close() {
	if l == nil {
		return
	}
	if l.alive() && !l.pg.IsBusy() {
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
		defer cancel()
		_ = l.pg.Close(ctx) // with a word to the server; it is of no more use either way
	}
	_ = l.raw.Close()
}

// params are the arguments of a statement, as the wire has them.
type params struct {
	values  [][]byte
	oids    []uint32
	formats []int16
}

const bytea, int8OID, int4OID, int2OID, boolOID = 17, 20, 23, 21, 16

func (p *params) add(arg any) {
	var v []byte
	var oid uint32 // 0: as the statement needs it
	var format int16
	switch x := arg.(type) {
	case nil:
	case int64:
		v = strconv.AppendInt(nil, x, 10)
	case int:
		v = strconv.AppendInt(nil, int64(x), 10)
	case uint64:
		v = strconv.AppendUint(nil, x, 10)
	case bool: // the tables have numbers for it
		v = []byte("0")
		if x {
			v = []byte("1")
		}
	case string:
		v = encodeText(x)
	case []byte:
		v, oid, format = append([]byte{}, x...), bytea, 1 // nil is as good as empty
	default:
		v = []byte(fmt.Sprint(x))
	}
	p.values, p.oids, p.formats = append(p.values, v), append(p.oids, oid), append(p.formats, format)
}

// binaryResults: all columns in the binary format.
var binaryResults = []int16{1}

// start sends a statement without a name. ctx ends the reading of people and of bodies; whoever commits gives one that never ends.
func (l *link) start(ctx context.Context, text string, args ...any) *pgconn.ResultReader {
	var p params
	for _, a := range args {
		p.add(a)
	}
	return l.pg.ExecParams(ctx, text, p.values, p.oids, p.formats, binaryResults)
}

// run runs a statement and gives its rows.
func (l *link) run(text string, args ...any) (rows [][][]byte, affected int64, err error) {
	r := l.start(context.Background(), text, args...).Read()
	return r.Rows, r.CommandTag.RowsAffected(), outcome(r.Err)
}

// simple runs some statements without arguments, one after the other: what fails ends them.
func (l *link) simple(text string) (rows [][][]byte, err error) {
	results, err := l.pg.Exec(context.Background(), text).ReadAll()
	for _, r := range results {
		rows = append(rows, r.Rows...)
	}
	return rows, outcome(err)
}

func number(b []byte) int64 {
	switch len(b) {
	case 8:
		return int64(binary.BigEndian.Uint64(b))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b)))
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b)))
	case 1:
		return int64(b[0])
	}
	return 0
}

// Errors of a statement that say what to do next.
var (
	errUnknown = errors.New("the connection to the database is lost")   // what became of it nobody knows
	errRefused = errors.New("the database cannot do that for now")      // it was not done; it may be tried again on another connection
	errExists  = errors.New("a row with this key is there already")     // it was not done
	errBroken  = errors.New("the lease of this relay is another's now") // it was not done
)

// outcome sorts an error. What passes by itself counts as no room for now to the journal (sqlite.ErrFull).
func outcome(err error) error {
	if err == nil {
		return nil
	}
	var e *pgconn.PgError
	switch {
	case !errors.As(err, &e), e.SeverityUnlocalized != "ERROR" && e.Severity != "ERROR", strings.HasPrefix(e.Code, "08"): // as poolers say it
		return fmt.Errorf("%w: %w: %w", sqlite.ErrFull, errUnknown, err)
	case e.Code == "23505": // unique_violation
		return fmt.Errorf("%w: %w", errExists, err)
	case e.Code == "22012": // division_by_zero: see guard
		return errBroken
	}
	switch (e.Code + "  ")[:2] {
	case "53": // insufficient_resources: of the disk, of memory
		return fmt.Errorf("%w: %w", sqlite.ErrFull, err)
	case "25", "40", "55", "57": // read only or ended transaction, deadlock, lock not to be had, cancelled by an administrator or a time limit
		return fmt.Errorf("%w: %w: %w", sqlite.ErrFull, errRefused, err)
	}
	return err
}

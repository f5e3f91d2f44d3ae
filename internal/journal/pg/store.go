package pg

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Options of a store.
type Options struct {
	URL      string // postgres://user@host,host2/database?sslmode=verify-full
	Password string // empty: what the URL says
	Slot     int    // number of this relay in the database
	// Elapsed is for how long the machine runs, its sleep included; nil: by CLOCK_BOOTTIME.
	Elapsed func() time.Duration
	Dial    pgconn.DialFunc // nil: TCP, or a socket
}

// connectTimeout is for each address: a host that swallows packets must not keep the next one from being asked while a lease lasts.
const connectTimeout = time.Second

// Store is a journal's place in a database. All methods may be called from any goroutine.
type Store struct {
	cfg     *pgconn.Config
	schema  string
	holder  string // who we are: random, so that an epoch that comes again after a failover of the database is not taken for ours
	elapsed func() time.Duration
	dialer  pgconn.DialFunc
	used    size

	writes, bodies, lists *sql.DB // for the tables

	mu    sync.Mutex // guards all below
	conns map[*tracked]bool
	lease *lease // nil: not held yet
	ended error  // no more connections
}

// Open reaches the database and makes the slot's tables where there are none. It takes no lease.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newStore(o Options) (*Store, error) {
	cfg, err := pgconn.ParseConfig(o.URL)
	if err != nil || !strings.HasPrefix(o.URL, "postgres://") && !strings.HasPrefix(o.URL, "postgresql://") {
		// The error's own text may have a password or the name of a key file in it.
		return nil, errors.New("it is no URL of a PostgreSQL database: postgres://user@host/database, with parameters such as sslmode=verify-full")
	}
	if o.Slot < 0 {
		return nil, fmt.Errorf("slot %d: 0 or more", o.Slot)
	}
	cfg.Password = cmp.Or(o.Password, cfg.Password)
	cfg.ConnectTimeout = connectTimeout
	cfg.RuntimeParams["application_name"] = "chatrelay"
	if cfg.ValidateConnect == nil { // a standby of the database refuses all that is written
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if o.Elapsed == nil {
		o.Elapsed = sinceBoot
	}
	if o.Dial == nil {
		dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 3}}
		o.Dial = dialer.DialContext
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	s := &Store{cfg: cfg, schema: fmt.Sprintf("chatrelay_%d", o.Slot), holder: hex.EncodeToString(id), elapsed: o.Elapsed, dialer: o.Dial, conns: map[*tracked]bool{}}
	s.writes, s.bodies, s.lists = s.pool(1), s.pool(1), s.pool(1)
	return s, nil
}

// pool is some connections for database/sql.
func (s *Store) pool(most int) *sql.DB {
	db := sql.OpenDB(connector{s})
	db.SetMaxOpenConns(most)
	return db
}

// Close gives the lease up, if it is held, and closes all connections.
func (s *Store) Close() error {
	err := s.release()
	s.end(errClosed)
	return errors.Join(err, s.writes.Close(), s.bodies.Close(), s.lists.Close())
}

var errClosed = errors.New("the store is closed")

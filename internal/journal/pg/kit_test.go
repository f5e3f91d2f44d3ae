package pg

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// lastSlot: each test has a slot of its own on its server.
var lastSlot atomic.Int64

func newSlot() int { return int(lastSlot.Add(1)) }

// open opens a store that ends with the test.
func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// lead opens a store, takes the lease and opens the log.
func lead(t *testing.T, o Options) (*Store, *Log) {
	t.Helper()
	s := open(t, o)
	must(t, s.Lead(t.Context(), nil))
	return s, openLog(t, s)
}

func openLog(t *testing.T, s *Store) *Log {
	t.Helper()
	tables, err := s.Tables()
	must(t, err)
	defer func() { must(t, tables.Close()) }()
	stand, err := tables.Position()
	must(t, err)
	l, err := s.Log(tables.ID(), stand)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got %v, want %v", err, target)
	}
}

// admin says something to the server as its superuser.
func admin(t *testing.T, url, text string) [][][]byte {
	t.Helper()
	c, err := pgconn.Connect(context.Background(), url)
	must(t, err)
	defer func() { must(t, c.Close(context.Background())) }()
	results, err := c.Exec(context.Background(), text).ReadAll()
	must(t, err)
	var rows [][][]byte
	for _, r := range results {
		rows = append(rows, r.Rows...)
	}
	return rows
}

// expire ends the lease of a slot, as if its holder had been silent for long.
func (s *Store) expire(t *testing.T, url string) {
	t.Helper()
	admin(t, url, s.text("UPDATE @lease SET until = '-infinity'"))
}

// frames reads a log from the beginning.
func frames(t *testing.T, l *Log) (all []string) {
	t.Helper()
	must(t, l.Read(l.first, func(_ uint64, frame []byte) error {
		all = append(all, string(frame))
		return nil
	}))
	return all
}

// cutter is a dialer whose connections break at their nth message in all, once.
type cutter struct {
	mu     sync.Mutex
	at     int // 0: never
	before bool
	seen   int
}

var errCut = errors.New("the network is down")

func (c *cutter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	return &cutConn{conn, c}, err
}

type cutConn struct {
	net.Conn
	c *cutter
}

func (c *cutConn) Write(b []byte) (int, error) {
	c.c.mu.Lock()
	c.c.seen++
	cut, before := c.c.seen == c.c.at, c.c.before
	c.c.mu.Unlock()
	if cut && before {
		return 0, errors.Join(errCut, c.Conn.Close())
	}
	n, err := c.Conn.Write(b)
	if cut { // the server may do it, and its answer is lost
		time.Sleep(5 * time.Millisecond)
		_ = c.Conn.Close()
	}
	return n, err
}

// set has the nth message from now on cut.
func (c *cutter) set(n int, before bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.before, c.seen = n, before, 0
}

func (c *cutter) reached() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen >= c.at
}

// handClock is a time that a test moves.
type handClock struct{ at atomic.Int64 }

func newHandClock() *handClock {
	c := &handClock{}
	c.at.Store(int64(time.Hour))
	return c
}

func (c *handClock) elapsed() time.Duration { return time.Duration(c.at.Load()) }
func (c *handClock) add(d time.Duration)    { c.at.Add(int64(d)) }

package pg

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"chatrelay/internal/journal/sqlite"
	"chatrelay/test/servers"
)

// TestLog runs all that needs one server without a standby.
func TestLog(t *testing.T) {
	server := servers.NewPostgreSQL(t, nil)
	for name, test := range map[string]func(*testing.T, *servers.PostgreSQL){
		"frames are kept":                                   framesAreKept,
		"a connection breaks anywhere":                      cutAnywhere,
		"one leads, the other waits":                        oneLeads,
		"the database refuses who was taken over":           refusedByTheDatabase,
		"a holder that slept has lost it":                   sleeperHasLost,
		"an epoch that comes again is not the same":         epochComesAgain,
		"a commit that was lost is noticed":                 lostCommit,
		"the lease waits for a running commit":              leaseWaitsForCommit,
		"a host that says nothing does not hold up":         silentHost,
		"a checkpoint needs the lease":                      checkpointNeedsLease,
		"nothing depends on the session":                    noSession,
		"of a checkpoint whose answer was lost it is known": checkpointUnknown,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

func framesAreKept(t *testing.T, server *servers.PostgreSQL) {
	o := Options{URL: server.URL, Slot: newSlot()}
	s, l := lead(t, o)
	for n, frame := range []string{"one", "", "three\x00\xff"} {
		must(t, l.Append(uint64(n+1), []byte(frame)))
	}
	if err := l.Append(5, nil); err == nil {
		t.Fatal("a gap was appended")
	}
	if got, want := frames(t, l), []string{"", "one", "", "three\x00\xff"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	piece, err := l.Piece(t.Context(), 3, 2, 4)
	if must(t, err); string(piece) != "ree\x00" {
		t.Fatalf("got %q", piece)
	}
	_, err = l.Piece(t.Context(), 9, 0, 1)
	want(t, err, sqlite.ErrCut)
	must(t, l.Probe(100_000))
	must(t, s.Close())

	_, l = lead(t, o) // at once: Close gave the lease up
	if l.Last() != 3 || l.first != 0 {
		t.Fatalf("it has the frames %d to %d", l.first, l.Last())
	}
	must(t, l.Append(4, []byte("four")))
	admin(t, server.URL, l.s.text("UPDATE @log SET frame = 'x' WHERE n = 4"))
	want(t, l.Read(0, func(uint64, []byte) error { return nil }), sqlite.ErrDamaged)
}

// cutAnywhere cuts the connection at each message: each frame is there once, whatever was lost.
func cutAnywhere(t *testing.T, server *servers.PostgreSQL) {
	t.Parallel() // it waits
	for _, before := range []bool{true, false} {
		for n := 1; ; n++ {
			c := &cutter{}
			_, l := lead(t, Options{URL: server.URL, Slot: newSlot(), Dial: c.dial})
			c.set(n, before)
			for i := range uint64(4) {
				must(t, l.Append(i+1, fmt.Append(nil, i)))
			}
			reached := c.reached()
			c.set(0, false)
			if got := frames(t, l); !slices.Equal(got, []string{"", "0", "1", "2", "3"}) {
				t.Fatalf("cut at message %d, before %v: %q", n, before, got)
			}
			if !reached || n == 8 {
				break
			}
		}
	}
}

func oneLeads(t *testing.T, server *servers.PostgreSQL) {
	t.Parallel() // it waits
	o := Options{URL: server.URL, Slot: newSlot()}
	first, l := lead(t, o)
	second := open(t, o)
	waits, led := make(chan struct{}), make(chan error, 1)
	go func() { led <- second.Lead(t.Context(), func() { close(waits) }) }()
	<-waits
	must(t, l.Append(1, nil))
	time.Sleep(leaseFor + beatEvery) // it is renewed
	select {
	case err := <-led:
		t.Fatalf("two lead: %v", err)
	default:
	}
	must(t, first.Held())
	must(t, l.Append(2, nil))
	began := time.Now()
	must(t, first.Close())
	must(t, <-led)
	if took := time.Since(began); took >= leaseFor {
		t.Errorf("it took %v after the lease was given up", took)
	}
	if l := openLog(t, second); l.Last() != 2 || second.Epoch() != 2 {
		t.Fatalf("the second one leads with epoch %d and frame %d", second.Epoch(), l.Last())
	}
}

// refusedByTheDatabase: its own clock says that the lease lasts.
func refusedByTheDatabase(t *testing.T, server *servers.PostgreSQL) {
	o := Options{URL: server.URL, Slot: newSlot()}
	old, l := lead(t, o)
	must(t, l.Append(1, []byte("old")))
	old.lease.stop() // it is not renewed any more
	<-old.lease.ended
	old.expire(t, server.URL)
	_, l2 := lead(t, o)
	must(t, old.Held())
	want(t, l.Append(2, []byte("old")), ErrLost)
	must(t, l2.Append(2, []byte("new")))
	if got := frames(t, l2); !slices.Equal(got, []string{"", "old", "new"}) {
		t.Fatalf("got %q", got)
	}
}

func sleeperHasLost(t *testing.T, server *servers.PostgreSQL) {
	clock := newHandClock()
	s, l := lead(t, Options{URL: server.URL, Slot: newSlot(), Elapsed: clock.elapsed})
	must(t, l.Append(1, nil))
	clock.add(leaseFor)
	want(t, s.Held(), ErrLost)
	want(t, l.Append(2, nil), ErrLost)
	want(t, <-s.Lost(), ErrLost)
	if _, err := s.dial(t.Context()); err == nil {
		t.Fatal("it connects still")
	}
}

// epochComesAgain: a failover of the database has lost who took the lease, and another one takes it with the same number.
func epochComesAgain(t *testing.T, server *servers.PostgreSQL) {
	o := Options{URL: server.URL, Slot: newSlot()}
	old, l := lead(t, o)
	old.lease.stop()
	<-old.lease.ended
	admin(t, server.URL, old.text("UPDATE @lease SET epoch = 0, holder = '', until = '-infinity'"))
	s, _ := lead(t, o)
	if s.Epoch() != old.Epoch() {
		t.Fatalf("the epochs are %d and %d", old.Epoch(), s.Epoch())
	}
	want(t, l.Append(1, nil), ErrLost)
}

func lostCommit(t *testing.T, server *servers.PostgreSQL) {
	_, l := lead(t, Options{URL: server.URL, Slot: newSlot()})
	must(t, l.Append(1, nil))
	admin(t, server.URL, l.s.text("DELETE FROM @log WHERE n = 1"))
	want(t, l.Append(2, nil), sqlite.ErrDamaged)
	if err := l.Append(2, nil); err == nil {
		t.Fatal("it goes on")
	}
}

// leaseWaitsForCommit: who takes the lease over waits for a commit under way, and has it; renewing the lease does not wait.
func leaseWaitsForCommit(t *testing.T, server *servers.PostgreSQL) {
	t.Parallel() // it waits
	o := Options{URL: server.URL, Slot: newSlot()}
	s, l := lead(t, o)
	admin(t, server.URL, s.text(`CREATE FUNCTION @slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(4); RETURN NEW; END';
		CREATE TRIGGER slow BEFORE INSERT ON @log FOR EACH ROW EXECUTE FUNCTION `+s.schema+".slow()"))
	done := make(chan error, 1)
	go func() { done <- l.Append(1, []byte("slow")) }()
	time.Sleep(leaseFor + beatEvery/2)
	must(t, s.Held())
	s.lease.stop()
	<-s.lease.ended
	s.expire(t, server.URL)
	_, l2 := lead(t, o)
	must(t, <-done)
	if l2.Last() != 1 {
		t.Fatal("who took over does not have the commit that was under way")
	}
	admin(t, server.URL, s.text("DROP TRIGGER slow ON @log"))
}

// silentHost: the first host accepts and says nothing.
func silentHost(t *testing.T, server *servers.PostgreSQL) {
	t.Parallel() // it waits
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	began := time.Now()
	url := strings.Replace(server.URL, "@", "@"+silent.Addr().String()+",", 1)
	s, l := lead(t, Options{URL: url, Slot: newSlot()})
	must(t, l.Append(1, nil))
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	time.Sleep(leaseFor)
	must(t, s.Held())
}

func checkpointNeedsLease(t *testing.T, server *servers.PostgreSQL) {
	s, _ := lead(t, Options{URL: server.URL, Slot: newSlot()})
	ctx := context.Background()
	conn, err := s.writes.Conn(ctx)
	must(t, err)
	defer conn.Close()
	exec := func(text string, args ...any) error {
		_, err := conn.ExecContext(ctx, text, args...)
		return err
	}
	must(t, exec("BEGIN IMMEDIATE"))
	must(t, exec("INSERT INTO meta (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v=excluded.v", "log_n", int64(7)))
	admin(t, server.URL, s.text("UPDATE @lease SET holder = 'another'"))
	want(t, exec("COMMIT"), ErrLost)
	must(t, exec("ROLLBACK"))
	if rows := admin(t, server.URL, s.text("SELECT v FROM @meta WHERE k = 'log_n'")); string(rows[0][0]) != "0" {
		t.Fatalf("the tables stand at %s", rows[0][0])
	}
}

// checkpointUnknown: the connection breaks with the commit of a checkpoint, which came or did not.
func checkpointUnknown(t *testing.T, server *servers.PostgreSQL) {
	for _, before := range []bool{true, false} {
		c := &cutter{}
		s, _ := lead(t, Options{URL: server.URL, Slot: newSlot(), Dial: c.dial})
		ctx := context.Background()
		conn, err := s.writes.Conn(ctx)
		must(t, err)
		exec := func(text string, args ...any) error {
			_, err := conn.ExecContext(ctx, text, args...)
			return err
		}
		must(t, exec("BEGIN IMMEDIATE"))
		must(t, exec("INSERT INTO meta (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v=excluded.v", "log_n", int64(7)))
		tc := 1
		c.set(tc, before)
		err = exec("COMMIT")
		if before && !sqlite.Temporary(err) || !before && err != nil {
			t.Errorf("cut before: %v: %v", before, err)
		}
		must(t, exec("ROLLBACK"))
		must(t, conn.Close())
	}
}

// noSession: what a pooler in transaction mode may give to another client is not used.
func noSession(t *testing.T, server *servers.PostgreSQL) {
	s, l := lead(t, Options{URL: server.URL, Slot: newSlot()})
	must(t, l.Append(1, nil))
	tables, err := s.Tables()
	must(t, err)
	_, err = tables.Load(func(at, _ int64) int64 { return at }) // reads in the writer's connection
	must(t, err)
	must(t, tables.Close())
	rows, _, err := l.link.run("SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_settings WHERE source = 'session')")
	must(t, err)
	if number(rows[0][0]) != 0 || number(rows[0][1]) != 0 {
		t.Errorf("the session has %d prepared statements and %d settings of its own", number(rows[0][0]), number(rows[0][1]))
	}
}

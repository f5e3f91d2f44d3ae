package journal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"
	"chatrelay/internal/journal/pg"
	"chatrelay/internal/journal/sqlite"
	"chatrelay/test/servers"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestPostgreSQL is what a journal promises, kept in a database.
func TestPostgreSQL(t *testing.T) {
	server := servers.NewPostgreSQL(t, nil)
	t.Run("conformance", func(t *testing.T) {
		bridgetest.RunJournal(t, func(t *testing.T) bridgetest.Journal {
			o, _ := inDatabase(t, server, newSlot(), nil)
			o.Render = nil
			return openTest(t, o)
		})
	})
	t.Run("the connection breaks anywhere", func(t *testing.T) { breaksAnywhere(t, server) })
	t.Run("the process stops anywhere", func(t *testing.T) { stopsAnywhere(t, server) })
	t.Run("checkpoints", func(t *testing.T) { checkpointsInDatabase(t, server) })
}

var lastSlot atomic.Int64

func newSlot() int { return int(lastSlot.Add(1)) }

// inDatabase are the options of a journal in a slot, and the store that leads there. Closed it is at the test's end, or before.
func inDatabase(t testing.TB, server *servers.PostgreSQL, slot int, dial pgconn.DialFunc) (Options, *pg.Store) {
	t.Helper()
	store, err := pg.Open(t.Context(), pg.Options{URL: server.URL, Slot: slot, Dial: dial})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	must(t, store.Lead(t.Context(), nil))
	o := options("")
	o.Database = &Database{
		Tables: store.Tables,
		Log:    func(journal string, tables sqlite.Position) (Log, error) { return store.Log(journal, tables) },
	}
	return o, store
}

// wire is a dialer whose connections break at their nth message, once, or for good.
type wire struct {
	mu      sync.Mutex // guards all below
	at      int        // 0: never
	before  bool       // it does not arrive any more
	forGood bool
	seen    int
	dead    bool
}

var errDead = errors.New("the process is dead")

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	dead := w.dead
	w.mu.Unlock()
	if dead {
		return nil, errDead
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	return &wired{conn, w}, err
}

type wired struct {
	net.Conn
	w *wire
}

func (c *wired) Write(b []byte) (n int, err error) {
	c.w.mu.Lock()
	c.w.seen++
	cut := c.w.seen == c.w.at
	if cut && c.w.forGood {
		c.w.dead = true
	}
	lost := cut && c.w.before || c.w.dead && !cut
	c.w.mu.Unlock()
	if !lost {
		n, err = c.Conn.Write(b)
	}
	if cut && !lost {
		time.Sleep(5 * time.Millisecond) // the server has it, and its answer is lost
	}
	if cut || lost {
		return n, errors.Join(errDead, c.Conn.Close())
	}
	return n, err
}

// arm has the nth message from now on break a connection.
func (w *wire) arm(n int, before, forGood bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.before, w.forGood, w.seen, w.dead = n, before, forGood, 0, false
}

func (w *wire) broke() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at > 0 && w.seen >= w.at
}

// breaksAnywhere: nobody notices.
func breaksAnywhere(t *testing.T, server *servers.PostgreSQL) {
	for _, before := range []bool{false, true} {
		for n, broke := 1, true; broke; n++ {
			w, slot := &wire{}, newSlot()
			o, store := inDatabase(t, server, slot, w.dial)
			l := &incarnation{testJournal: openTest(t, o)}
			w.arm(n, before, false)
			l.steps()
			broke = w.broke()
			w.arm(0, false, false)
			if got := l.facts(); l.done != 3 || got != incarnationFacts[3] {
				t.Fatalf("message %d, before %v: %d steps were acknowledged: %s", n, before, l.done, got)
			}
			if got := l.stage(); got != 3 {
				t.Fatalf("message %d, before %v: the journal has %d steps", n, before, got)
			}
			l.end()
			must(t, store.Close())
		}
	}
}

// stopsAnywhere: what was acknowledged is there, and nothing is there by halves.
func stopsAnywhere(t *testing.T, server *servers.PostgreSQL) {
	for _, before := range []bool{false, true} {
		for n, broke := 1, true; broke; n++ {
			w, slot := &wire{}, newSlot()
			o, dead := inDatabase(t, server, slot, w.dial)
			j, err := Open(t.Context(), o)
			must(t, err)
			l := &incarnation{testJournal: &testJournal{j, t, nil}}
			w.arm(n, before, true)
			ended := make(chan struct{})
			go func() {
				l.steps()
				close(ended)
			}()
			for over := false; !over && !w.broke(); {
				select {
				case <-ended:
					over = true
				case <-time.After(time.Millisecond):
				}
			}
			must(t, dead.Close()) // so that nothing waits for the lease's end
			<-ended
			_ = j.Close()
			broke = w.broke()
			expireLease(t, server, slot)
			o, store := inDatabase(t, server, slot, nil)
			b := openTest(t, o)
			if got := b.stage(); got < l.done || got > l.done+1 {
				t.Fatalf("message %d, before %v: %d steps were acknowledged, the journal has %d", n, before, l.done, got)
			}
			b.end()
			must(t, store.Close())
		}
	}
}

// checkpointsInDatabase: the tables follow the log, which is cut, and what people see is right.
func checkpointsInDatabase(t *testing.T, server *servers.PostgreSQL) {
	slot := newSlot()
	o, store := inDatabase(t, server, slot, nil)
	b := openTest(t, o)
	for i := range 30 {
		b.append(direct(bridge.XMPP, "1001", "1002", string(rune('a'+i))))
		if i%10 == 0 {
			b.follow()
		}
	}
	for range 20 {
		b.settle(b.next(bridge.MQTT).Ref)
	}
	b.follow()
	b.follow()
	want := b.facts()
	b.end()
	must(t, store.Close())
	o, _ = inDatabase(t, server, slot, nil)
	again := openTest(t, o)
	if got := again.facts(); got != want {
		t.Fatalf("after a restart:\n%s\nbefore:\n%s", got, want)
	}
}

// expireLease ends the lease of a slot, whose holder is dead.
func expireLease(t *testing.T, server *servers.PostgreSQL, slot int) {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), server.URL)
	must(t, err)
	defer func() { must(t, c.Close(context.Background())) }()
	_, err = c.Exec(t.Context(), fmt.Sprintf("UPDATE chatrelay_%d.lease SET until = '-infinity'", slot)).ReadAll()
	must(t, err)
}

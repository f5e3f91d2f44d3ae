package pg

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"chatrelay/test/servers"
)

// pair is a primary that waits for its standby.
func pair(t *testing.T) (primary, standby *servers.PostgreSQL) {
	primary = servers.NewPostgreSQL(t, map[string]string{"wal_level": "replica"})
	standby = primary.NewStandby(t, "standby", nil)
	waitFor(t, primary, "standby")
	return primary, standby
}

// waitFor has the primary wait for its standby of some name from now on.
func waitFor(t *testing.T, primary *servers.PostgreSQL, name string) {
	t.Helper()
	admin(t, primary.URL, fmt.Sprintf("ALTER SYSTEM SET synchronous_standby_names = '%s'", name))
	admin(t, primary.URL, "SELECT pg_reload_conf()")
	for string(admin(t, primary.URL, "SHOW synchronous_standby_names")[0][0]) != name {
		time.Sleep(10 * time.Millisecond)
	}
}

// waits tells how many commits wait for the standby.
func waits(t *testing.T, primary *servers.PostgreSQL) string {
	t.Helper()
	return string(admin(t, primary.URL, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")[0][0])
}

// TestStandby: what was answered is in the standby.
func TestStandby(t *testing.T) {
	primary, standby := pair(t)
	t.Run("a cancelled wait confirms nothing", func(t *testing.T) { cancelledWait(t, primary) })
	t.Run("a failover", func(t *testing.T) { failover(t, primary, standby) })
}

// cancelledWait: somebody cancels the wait for the standby. The server says that the commit is done, with a warning.
func cancelledWait(t *testing.T, primary *servers.PostgreSQL) {
	s, l := lead(t, Options{URL: primary.URL, Slot: newSlot()})
	must(t, l.Append(1, nil))
	waitFor(t, primary, "nobody")
	done := make(chan error, 1)
	go func() { done <- l.Append(2, []byte("two")) }()
	for range 3 {
		for waits(t, primary) == "0" {
			time.Sleep(5 * time.Millisecond)
		}
		admin(t, primary.URL, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		time.Sleep(50 * time.Millisecond)
		select {
		case err := <-done:
			t.Fatalf("a frame that is in no standby is answered: %v", err)
		default:
		}
	}
	time.Sleep(leaseFor)
	must(t, s.Held()) // the lease does not wait for the standby
	waitFor(t, primary, "standby")
	must(t, <-done)
	if got := frames(t, l); !slices.Equal(got, []string{"", "", "two"}) {
		t.Fatalf("got %q", got)
	}
}

// failover: the primary dies in the midst of commits, the standby is promoted.
func failover(t *testing.T, primary, standby *servers.PostgreSQL) {
	o := Options{URL: fmt.Sprintf("postgres://chatrelay@%s,%s/postgres", primary.Addr, standby.Addr), Slot: newSlot()}
	_, l := lead(t, o)
	answered, ended := uint64(0), make(chan error, 1)
	go func() {
		for n := uint64(1); ; n++ {
			if err := l.Append(n, fmt.Append(nil, n)); err != nil {
				ended <- err
				return
			}
			answered = n
		}
	}()
	time.Sleep(200 * time.Millisecond)
	must(t, primary.Kill())
	admin(t, standby.URL, "ALTER SYSTEM SET synchronous_standby_names = ''")
	want(t, <-ended, ErrLost) // the lease is shorter than this outage
	admin(t, standby.URL, "SELECT pg_promote()")
	s, l2 := lead(t, o)
	if l2.Last() < answered || answered < 10 {
		t.Fatalf("%d frames were answered, the standby has %d", answered, l2.Last())
	}
	t.Logf("%d frames were answered, the standby has %d", answered, l2.Last())
	must(t, l2.Append(l2.Last()+1, []byte("after")))
	must(t, s.Held())
	for i, f := range frames(t, l2)[1 : answered+1] {
		if f != fmt.Sprint(i+1) {
			t.Fatalf("frame %d is %q", i+1, f)
		}
	}
}

package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/internal/journal/sqlite"
)

// backedUp copies a journal.
func backedUp(t *testing.T, from, to string) error {
	t.Helper()
	r, err := OpenReadOnly(from)
	must(t, err)
	_, err = r.Backup(t.Context(), to)
	return errors.Join(err, r.Close())
}

// A journal is copied while messages come and go, and the tables follow: each copy is a journal that has all that was acknowledged
// before it was begun.
func TestBackupOfRunning(t *testing.T) {
	c := newClock()
	o := options(t.TempDir())
	o.Clock, o.Sync = c.Now, "os"
	b := openTest(t, o)
	var acked atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.traffic(ctx, c, &acked) }()
	for i := range 3 {
		dir := filepath.Join(t.TempDir(), "new", "copy 100%?#")
		before := acked.Load()
		must(t, backedUp(t, o.Dir, dir))
		v := fits(t, dir)
		o := options(dir)
		o.Clock = c.Now
		k := openTest(t, o)
		if n := k.counter(received, bridge.XMPP, ""); n < before || v.ID != b.ID() || k.ID() != b.ID() {
			t.Errorf("copy %d of %s has %d messages, %d were acknowledged", i, k.ID(), n, before)
		}
		k.sum()
		k.checkLanes()
		k.end()
		patient(t, "messages go on", func() bool { return acked.Load() > before })
	}
	stop()
	must(t, <-ended)
	b.sum()
}

// traffic has messages come and go until ctx ends.
func (b *testJournal) traffic(ctx context.Context, c *clock, acked *atomic.Int64) error {
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-pace.C
		r := direct(bridge.XMPP, fmt.Sprint("1", n%9), fmt.Sprint("2", n%7), fmt.Sprint(n, strings.Repeat("x", n%3000)))
		if err := b.Append(context.WithoutCancel(ctx), []*bridge.Record{r}); err != nil {
			return err
		}
		acked.Add(1)
		c.add(500 * time.Millisecond) // a checkpoint after ten
		if n%3 == 0 {
			continue // waits
		}
		o, err := b.Next(ctx, bridge.MQTT)
		if err != nil {
			continue
		}
		result := bridge.Result{Ref: o.Ref}
		if b.Bind(o.Ref, fmt.Append(nil, n)); n%10 == 1 && o.Kind.IsMessage() {
			result.Err = bridge.Refuse("no", "nobody")
		}
		b.Settle(result)
	}
	return nil
}

// A copy is never written over anything, and one that did not come to its end is no journal.
func TestBackupRefuses(t *testing.T) {
	from := lived(t, false)
	for name, dir := range map[string]string{"its own folder": from, "a file": filepath.Join(from, sqlite.FileName)} {
		if err := backedUp(t, from, dir); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	fits(t, from)
	foreign := t.TempDir()
	must(t, os.WriteFile(filepath.Join(foreign, "letter"), []byte("x"), 0o600))
	if err := backedUp(t, from, foreign); err == nil || !strings.Contains(err.Error(), "there is letter") {
		t.Errorf("a foreign folder: %v", err)
	}
	if entries, err := os.ReadDir(foreign); err != nil || len(entries) != 1 {
		t.Errorf("in a foreign folder there are %v (%v)", entries, err)
	}
	to := t.TempDir()
	must(t, backedUp(t, from, to))
	if err := backedUp(t, from, to); err == nil {
		t.Error("a second copy in one folder: no error")
	}
	fits(t, to)
	for _, left := range [][]string{{sqlite.LockName}, {sqlite.LockName, sqlite.LogName}, {sqlite.LockName, sqlite.FileName}} {
		dir := t.TempDir()
		for _, name := range left {
			data, err := os.ReadFile(filepath.Join(to, name))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
		if _, err := Open(t.Context(), options(dir)); !errors.Is(err, ErrDamaged) {
			t.Errorf("a relay starts on %v: %v", left, err)
		}
	}
}

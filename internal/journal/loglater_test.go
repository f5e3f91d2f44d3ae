package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"chatrelay/bridge"
	"chatrelay/test/sqlfault"

	"github.com/rs/zerolog"
)

// lockedLog is a log that stands still until the journal's lock is free, for a while.
type lockedLog struct {
	mu     sync.Mutex // guards all below
	j      *Journal
	lines  map[string]int
	locked []string
}

func (l *lockedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var event struct{ Message string }
	if err := json.Unmarshal(bytes.TrimSpace(line), &event); err != nil || l.j == nil {
		return len(line), err
	}
	l.lines[event.Message]++
	for range 200 {
		if l.j.mu.TryLock() {
			l.j.mu.Unlock()
			return len(line), nil
		}
		time.Sleep(time.Millisecond)
	}
	l.locked = append(l.locked, event.Message)
	return len(line), nil
}

// The log is never written to under the lock: one that stands still would hold up dispatchers, sides and the status page.
func TestNeverLogsUnderTheLock(t *testing.T) {
	l := &lockedLog{lines: map[string]int{}}
	f, name := sqlfault.New(t)
	o := options(t.TempDir())
	o.driver, o.Sync, o.MaxBytes, o.DedupMaxKeys, o.Log = name, "os", 512<<10, 16, zerolog.New(l)
	b := openTest(t, o)
	l.mu.Lock()
	l.j = b.Journal
	l.mu.Unlock()
	taken := b.fillUp(3000)
	for range len(taken) {
		o := b.next(bridge.MQTT)
		for !o.Kind.IsMessage() {
			b.settle(o.Ref)
			o = b.next(bridge.MQTT)
		}
		b.bury(o.Ref, bridge.Refuse("no", "no")) // Dead letters beyond their share, then room again
	}
	for i := range 100 { // keys are forgotten early
		b.append(direct(bridge.XMPP, "1001", "1002", fmt.Sprint("more ", i)))
	}
	disk := &lack{err: sqlfault.NoRoom(t)}
	f.Set(disk.hook)
	disk.set(true)
	if err := b.Append(t.Context(), []*bridge.Record{direct(bridge.XMPP, "1001", "1002", "x")}); err == nil {
		t.Fatal("written to a full disk")
	}
	b.Count(bridge.XMPP, "odd", 1) // is kept, and lost at the end
	b.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.locked) > 0 {
		t.Errorf("said under the lock: %q", l.locked)
	}
	for _, want := range []string{"journal full: new messages are refused", "journal has room again", "more keys than may be kept", "dead letters", "cannot be written to", "disk still full at shutdown"} {
		if !strings.Contains(fmt.Sprint(l.lines), want) {
			t.Errorf("nothing was said of %q: %v", want, l.lines)
		}
	}
}

// Health checks and metrics ask the writer for an answer for as long as the disk is full, and leave nothing behind.
func TestAnswerLeavesNothing(t *testing.T) {
	b, disk, _ := troubled(t)
	disk.set(true)
	b.Count(bridge.XMPP, "odd", 1)
	for range 500 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := b.Ping(ctx); ctx.Err() != nil {
			t.Fatalf("no answer: %v", err)
		}
		cancel()
	}
	b.mu.Lock()
	kept, queued := len(b.retained), b.queue.ops.Len()
	b.mu.Unlock()
	if kept != 1 || queued != 0 {
		t.Errorf("%d operations are kept and %d queued after 500 questions, want the one that has work", kept, queued)
	}
	disk.set(false)
	patient(t, "there is room again", func() bool { return b.Ping(t.Context()) == nil })
	b.wantCount("odd", bridge.XMPP, "", 1)
}

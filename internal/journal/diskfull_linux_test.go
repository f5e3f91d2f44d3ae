package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"chatrelay/bridge"
)

// TestRealFullDisk fills a small file system of its own. It needs the right to mount one.
func TestRealFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("journal-test", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b := openTest(t, options(filepath.Join(dir, "journal")))
	t.Cleanup(b.end) // before the file system goes
	text := strings.Repeat("x", 2000)
	var taken []string
	offer := func(i int) error {
		r := direct(bridge.XMPP, "1001", "1002", fmt.Sprint(i, text))
		err := b.Append(t.Context(), []*bridge.Record{r})
		if err == nil && r.Outcome == bridge.OutcomeTaken {
			taken = append(taken, string(r.Body))
		}
		return err
	}
	for i := range 50 {
		must(t, offer(i))
	}
	first := b.next(bridge.MQTT)
	b.bind(first.Ref, "1")
	ballast := filepath.Join(dir, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 3<<20), 0o600) // takes what there is
	n := 50
	for ; ; n++ {
		if err := offer(n); err != nil {
			if !errors.Is(err, bridge.ErrFull) {
				t.Fatalf("on a full disk: %v", err)
			}
			break
		}
	}
	if a := b.Totals(); a.WriteErr == "" {
		t.Error("no trouble on a full disk")
	}
	b.Settle(bridge.Result{Ref: first.Ref})
	must(t, os.Remove(ballast))
	patient(t, "there is room again", func() bool { return offer(n) == nil })
	b.sum()
	o := options(filepath.Join(dir, "journal"))
	b = b.reopen(o)
	for i, want := range taken[1:] {
		for {
			x := b.next(bridge.MQTT)
			if x.Kind == bridge.KindNotice {
				b.Settle(bridge.Result{Ref: x.Ref})
				continue
			}
			if string(x.Body) != want {
				t.Fatalf("message %d is %.9q, want %.9q", i, x.Body, want)
			}
			break
		}
	}
	b.wantCount(delivered, bridge.XMPP, "", 1)
	b.sum()
}

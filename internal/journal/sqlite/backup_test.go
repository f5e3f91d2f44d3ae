package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A copy that is interrupted leaves nothing behind.
func TestBackupInterrupted(t *testing.T) {
	from := t.TempDir()
	tables := openTables(t, from)
	l, err := OpenLog(tables.folder, tables.ID(), Position{}, true)
	must(t, err)
	must(t, l.Append(1, frameOf(1)))
	must(t, l.Close())
	r, err := OpenReadOnly(from)
	must(t, err)
	defer func() { must(t, r.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to := filepath.Join(t.TempDir(), "a", "b")
	must(t, r.snapshot(t.Context(), func(s *snapshot) error {
		if err := s.backup(ctx, to); !errors.Is(err, context.Canceled) {
			t.Errorf("it says %v", err)
		}
		left, err := os.ReadDir(to)
		if len(left) > 0 {
			t.Errorf("it leaves %v", left)
		}
		return err
	}))
	if _, err := r.Backup(t.Context(), to); err != nil {
		t.Errorf("once more: %v", err)
	}
	for name, mode := range map[string]os.FileMode{FileName: 0o600, LogName: 0o600, LockName: 0o600, ".": os.ModeDir | 0o700} {
		if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v (%v)", name, info.Mode(), err)
		}
	}
	if left, err := os.ReadDir(to); err != nil || len(left) != 3 {
		t.Errorf("in the copy there are %v (%v)", left, err)
	}
}

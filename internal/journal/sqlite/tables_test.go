package sqlite

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"chatrelay/bridge"
)

// The bug that could corrupt a file with two connections (3.7.0 to 3.51.2) is not in this engine.
func TestEngineVersion(t *testing.T) {
	tables := openTables(t, "")
	var version string
	must(t, tables.conn.QueryRowContext(t.Context(), "SELECT sqlite_version()").Scan(&version))
	var n int
	for part := range strings.SplitSeq(version, ".") {
		k, err := strconv.Atoi(part)
		must(t, err)
		n = n*1000 + k
	}
	if n < 3_051_003 {
		t.Errorf("SQLite is %s, want at least 3.51.3", version)
	}
}

func openTables(t *testing.T, dir string) *Tables {
	t.Helper()
	h, err := LockFolder(dir)
	must(t, err)
	tables, err := OpenTables(h)
	must(t, err)
	t.Cleanup(func() {
		must(t, tables.Close())
		must(t, h.Unlock())
	})
	return tables
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	tables := openTables(t, dir)
	for name, want := range map[string]int64{"synchronous": 2, "busy_timeout": busyFor.Milliseconds(), "auto_vacuum": 2} {
		if got, err := pragma(tables.conn, name); err != nil || got != want {
			t.Errorf("%s is %d (%v), want %d", name, got, err, want)
		}
	}
	for full, level := range map[bool]int64{true: 2, false: 1} {
		l, err := OpenLog(tables.folder, tables.ID(), Position{N: 0}, full)
		must(t, err)
		for name, want := range map[string]int64{"synchronous": level, "busy_timeout": 5000, "auto_vacuum": 2} {
			if got, err := pragma(l.conn, name); err != nil || got != want {
				t.Errorf("%s of the log is %d (%v), want %d", name, got, err, want)
			}
		}
		must(t, l.Close())
	}
	for name, mode := range map[string]os.FileMode{FileName: 0o600, LogName: 0o600, LockName: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v (%v)", name, info.Mode(), err)
		}
	}
}

func FuzzUnprovenRow(f *testing.F) {
	f.Add("unproven.1.3", []byte{4, 1, 0})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		if side, list, err := parseUnproven(key, value); err == nil && len(list) > 0 && side != bridge.MQTT && side != bridge.XMPP {
			t.Errorf("side %d", side)
		}
	})
}

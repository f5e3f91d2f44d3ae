package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Memory is a limit on what a process may use. Where the test may make a cgroup it is one, of either version; else
// GOMEMLIMIT together with a limit on the address space.
type Memory struct {
	Limit int64
	dir   string // of the cgroup; empty: none
	v2    bool
}

// virtual is what a Go process takes of the address space beside what it uses: arenas and their index.
const virtual = 2 << 30

// NewMemory makes a limit that ends with the test.
func NewMemory(t testing.TB, limit int64) *Memory {
	t.Helper()
	m := &Memory{Limit: limit}
	for _, try := range []struct {
		root, file string
		v2         bool
	}{{"/sys/fs/cgroup", "memory.max", true}, {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", false}} {
		dir, err := os.MkdirTemp(try.root, "chatrelay-test-")
		if err != nil {
			continue
		}
		if setNumber(filepath.Join(dir, try.file), limit) != nil {
			_ = os.Remove(dir) // not a cgroup that limits memory
			continue
		}
		m.dir, m.v2 = dir, try.v2
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Errorf("stage: %v", err)
			}
		})
		return m
	}
	t.Logf("no cgroup can be made here: GOMEMLIMIT and a limit on the address space stand in for it")
	return m
}

// setNumber writes to a file that the kernel has made.
func setNumber(file string, n int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.FormatInt(n, 10))
	return errors.Join(err, f.Close())
}

// Put has the relay's next lives run within the limit.
func (m *Memory) Put(r *Relay) {
	if m.dir != "" {
		r.Within = []string{"/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, m.dir}
		return
	}
	r.Besides["GOMEMLIMIT"] = strconv.FormatInt(m.Limit/8*7, 10)
	r.Within = []string{"/bin/sh", "-c", `ulimit -v "$0" && exec "$@"`, strconv.FormatInt((virtual+m.Limit)>>10, 10)}
}

// Kills is how often the kernel has ended a process in it.
func (m *Memory) Kills() int {
	file := "memory.oom_control"
	if m.v2 {
		file = "memory.events"
	}
	return m.number(file, "oom_kill ")
}

// Peak is the most that was in use, the file cache (which gives way) too; 0: not known.
func (m *Memory) Peak() int {
	if m.v2 {
		return m.number("memory.peak", "")
	}
	return m.number("memory.max_usage_in_bytes", "")
}

func (m *Memory) number(file, name string) int {
	if m.dir == "" {
		return 0
	}
	b, err := os.ReadFile(filepath.Join(m.dir, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(rest)); err == nil {
				return n
			}
		}
	}
	return 0
}

func (m *Memory) String() string {
	return fmt.Sprintf("limit %d MiB, peak %d MiB, kills %d", m.Limit>>20, m.Peak()>>20, m.Kills())
}

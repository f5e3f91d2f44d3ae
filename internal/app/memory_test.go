package app

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/rs/zerolog"

	"chatrelay/configs"
)

func files(m map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range m {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestCgroupLimit(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no Linux": {nil, 0},
		"version 2": {map[string]string{"proc/self/cgroup": "0::/system.slice/relay.service\n",
			"sys/fs/cgroup/system.slice/relay.service/memory.max": "268435456\n"}, 256 << 20},
		"version 2, limited above": {map[string]string{"proc/self/cgroup": "0::/pod/relay\n",
			"sys/fs/cgroup/pod/relay/memory.max": "max\n", "sys/fs/cgroup/pod/memory.max": "1000\n"}, 1000},
		"version 2, the container's own root": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5000\n"}, 5000},
		"version 2, a path of the host":       {map[string]string{"proc/self/cgroup": "0::/../pod1/x\n", "sys/fs/cgroup/memory.max": "5000\n"}, 5000},
		"version 1": {map[string]string{"proc/self/cgroup": "9:cpu,cpuacct:/a\n4:memory:/docker/abc\n0::/\n",
			"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "268435456\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":            "9223372036854771712\n"}, 256 << 20},
		"version 1, the container's own root": {map[string]string{"proc/self/cgroup": "4:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "7000\n"}, 7000},
		"none":    {map[string]string{"proc/self/cgroup": "4:memory:/\n0::/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"rubbish": {map[string]string{"proc/self/cgroup": "x\n0::/a\n", "sys/fs/cgroup/a/memory.max": "many\n"}, 0},
	} {
		if got := cgroupLimit(files(c.files)); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// GOMEMLIMIT wins, the cgroup's limit is put in its place where it is not set, and without both there is none.
func TestMemoryLimit(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(was) })
	group := files(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"})
	for name, c := range map[string]struct {
		set  int64
		env  string
		root fstest.MapFS
		want int64 // and what the runtime has then
		has  int64
	}{
		"neither":           {math.MaxInt64, "", nil, 0, math.MaxInt64},
		"GOMEMLIMIT":        {100 << 20, "100MiB", nil, 100 << 20, 100 << 20},
		"cgroup":            {math.MaxInt64, "", group, 224 << 20, 224 << 20},
		"both":              {220 << 20, "220MiB", group, 220 << 20, 220 << 20},
		"more than it gets": {400 << 20, "400MiB", group, 224 << 20, 400 << 20},
		"switched off":      {math.MaxInt64, "off", group, 224 << 20, math.MaxInt64},
	} {
		debug.SetMemoryLimit(c.set)
		if got := memoryLimit(c.root, func(string) string { return c.env }, zerolog.Nop()); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		if has := debug.SetMemoryLimit(-1); has != c.has {
			t.Errorf("%s: the runtime has %d, want %d", name, has, c.has)
		}
	}
}

func TestMaxPending(t *testing.T) {
	for _, c := range []struct {
		limit     int64
		keys      int
		low, high int
	}{
		{0, 1_000_000, 0, 0},
		{220 << 20, 1_000_000, 105_000, 160_000}, // the manifests
		{64 << 20, 1_000_000, 5_000, 15_000},
		{8 << 20, 1_000_000, leastWaits, 2_000},
		{4 << 30, 1_000_000, 3_000_000, 5_000_000},
	} {
		if got := maxPending(c.limit, c.keys); got < c.low || got > c.high {
			t.Errorf("%d of memory, %d keys: %d, want %d to %d", c.limit, c.keys, got, c.low, c.high)
		}
	}
}

// Whoever opens the journal has the limit: a requeue without a relay must not leave more than the relay can start with.
func TestJournalHasTheLimit(t *testing.T) {
	was := debug.SetMemoryLimit(64 << 20)
	t.Cleanup(func() { debug.SetMemoryLimit(was) })
	t.Setenv("GOMEMLIMIT", "64MiB")
	c := &configs.Config{Store: configs.Store{DedupMaxKeys: 1_000_000}}
	if got := journalOptions(c, zerolog.Nop()).MaxPending; got < leastWaits || got > 15_000 {
		t.Errorf("%d may wait within 64 MiB", got)
	}
	c.Store.MaxPending = 7
	if got := journalOptions(c, zerolog.Nop()).MaxPending; got != 7 {
		t.Errorf("%d may wait, want the setting's 7", got)
	}
}

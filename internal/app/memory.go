package app

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
)

// What waits is held in memory, a few hundred bytes each. So as many may wait as fit: an outage of one side must end
// in "full", never in a kill that the next start repeats. The figures were measured (docs/decisions/0015-memory-and-shares.md).
const (
	beside      = 24 << 20 // of a cgroup: what the Go runtime does not count (SQLite, the binary), at least
	besidePart  = 8        // and at least this part
	standing    = 48 << 20 // the relay with nothing that waits: bodies at hand, what is on its way in, the runtime
	perKey      = 48       // of DEDUP_MAX_KEYS
	perDelivery = 960      // that waits, with names of 64 characters of its own
	livePart    = 0.8      // of the limit may be live: the rest is for the garbage collector
	leastPart   = 8        // of the limit is for what waits, however many keys there may be
	leastWaits  = 1000
)

// memoryLimit is the memory that the process may use as the Go runtime counts it; 0: there is no limit. It is
// GOMEMLIMIT; where that is not set and a cgroup limits the process, the runtime is told to stay within it.
func memoryLimit(root fs.FS, getenv func(string) string, log zerolog.Logger) int64 {
	limit := debug.SetMemoryLimit(-1)
	if group := cgroupLimit(root); group > 0 {
		fits := group - max(min(beside, group/2), group/besidePart)
		if getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(fits)
			log.Info().Int64("cgroup", group).Int64("bytes", fits).Msg("GOMEMLIMIT is not set: the memory limit is made from the cgroup's")
		}
		limit = min(limit, fits)
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// maxPending is how many deliveries may wait within a memory limit; 0: any number.
func maxPending(limit int64, keys int) int {
	if limit <= 0 {
		return 0
	}
	room := max(limit-standing-int64(keys)*perKey, limit/leastPart)
	return max(leastWaits, int(float64(room)*livePart)/perDelivery)
}

// cgroupLimit is the least memory limit of the process's cgroup and those above it, of version 2 and of version 1;
// 0: none can be seen. In a container its own cgroup is often mounted as the root.
func cgroupLimit(root fs.FS) (least int64) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0 // no Linux
	}
	for line := range strings.Lines(string(groups)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path (cgroups(7))
		if len(part) < 3 {
			continue
		}
		mount, file := "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		switch {
		case part[0] == "0" && part[1] == "":
			mount, file = "sys/fs/cgroup", "memory.max"
		case !strings.Contains(","+part[1]+",", ",memory,"):
			continue
		}
		for at := path.Join("/", part[2]); ; at = path.Dir(at) {
			if n := bytesIn(root, path.Join(mount, at, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// noLimit: version 1 writes a number near the largest one where there is none.
const noLimit = 1 << 50

func bytesIn(root fs.FS, name string) int64 {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n >= noLimit { // "max" (version 2)
		return 0
	}
	return n
}

// machine is the file system in which limits are looked up.
func machine() fs.FS { return os.DirFS("/") }

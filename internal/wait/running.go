package wait

import "time"

// origin is a hundred years before the process began: zero is long ago, also to tests with a clock of their own. It has the
// monotonic clock's reading.
var origin = time.Now().Add(-100 * 365 * 24 * time.Hour)

// Running is a moment on the process's own clock, in ns, for an atomic.Int64: unlike time.Time.UnixNano it is none of the wall
// clock's, whose steps make no span longer or shorter.
func Running(t time.Time) int64 { return int64(t.Sub(origin)) }

// At is the moment of which Running gave ns.
func At(ns int64) time.Time { return origin.Add(time.Duration(ns)) }

// Since is the time since then.
func Since(ns int64) time.Duration { return time.Since(At(ns)) }

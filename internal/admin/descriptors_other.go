//go:build !unix

package admin

import "math"

// descriptors is how many this process may have open: there is no limit that can be asked for.
func descriptors() uint64 { return math.MaxUint64 }

//go:build !linux

package trace

import "math"

// free is not known here.
func free(string) (int64, error) { return math.MaxInt64, nil }

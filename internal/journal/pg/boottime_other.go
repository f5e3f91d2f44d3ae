//go:build !linux

package pg

import "time"

// sinceBoot: the wall's clock also goes on while a machine sleeps. It may be set; the database's own clock guards what is written there.
func sinceBoot() time.Duration { return time.Now().Round(0).Sub(time.Unix(0, 0)) } // Round: not the monotonic clock's, which sleeps

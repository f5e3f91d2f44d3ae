//go:build !unix

package trace

import "os"

// giveAway: nobody else's files are made here.
func giveAway(*os.File, string) error { return nil }

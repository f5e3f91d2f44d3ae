//go:build !linux

package app

// storageWarning says what is wrong with a place for the journal; empty: nothing that can be seen.
func storageWarning(dir string) string {
	if dir == "memory" {
		return "is memory: nothing outlives the process"
	}
	return ""
}

func freeBytes(string) (n int64, ok bool) { return 0, false }

//go:build !linux

package app

// fragile says what is wrong with a place for the journal; empty: nothing that can be seen.
func fragile(dir string) string {
	if dir == "memory" {
		return "is memory: nothing outlives the process"
	}
	return ""
}

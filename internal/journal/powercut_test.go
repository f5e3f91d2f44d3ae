package journal

import (
	"path/filepath"
	"testing"

	"chatrelay/test/powercut"
)

// TestPowerCut cuts the power of a writing process's disk again and again: what was synced is there, of the rest a
// random half. What was acknowledged is there, and what was closed or bound is so.
func TestPowerCut(t *testing.T) {
	reported := map[string]map[string]bool{"took": {}, "bound": {}, "closed": {}}
	left := ""
	var sum powercut.Loss
	for round := range 5 {
		disk := powercut.Mount(t, left)
		left = t.TempDir()
		runAndKill(t, filepath.Join(disk.Path(), "store"), round, reported, func() {
			loss := disk.Cut(left)
			sum.Sectors, sum.Entries = sum.Sectors+loss.Sectors, sum.Entries+loss.Entries
		})
		disk.Unmount()
		checkKilled(t, filepath.Join(left, "store"), reported)
	}
	t.Logf("%d acknowledged; lost with the power: %+v", len(reported["took"]), sum)
}

package chaos

import (
	"testing"

	"chatrelay/test/stage"
)

// TestMillion is test/e2e's TestBacklog at full size: a million messages for a relay that has what its manifest gives it.
func TestMillion(t *testing.T) {
	if !full {
		t.Skip("make chaos has it; make test has a twentieth (test/e2e TestBacklog)")
	}
	stage.NewBacklog(t, binary, 1_000_000, 256<<20).Run(t.Context())
}

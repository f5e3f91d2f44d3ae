package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPage runs what the page has that needs neither a browser nor a network.
func TestPage(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("SKIPPED: there is no node; scripts/deps demo installs it with npm")
	}
	tests, err := filepath.Glob("testdata/*.test.mjs")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests of the page: %v", err)
	}
	if said, err := exec.CommandContext(t.Context(), "node", append([]string{"--test"}, tests...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

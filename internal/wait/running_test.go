package wait

import (
	"strings"
	"testing"
	"time"
)

// TestRunning: a moment that was kept as a number still has its reading of the monotonic clock, by which it is compared.
func TestRunning(t *testing.T) {
	now := time.Now()
	kept := At(Running(now))
	if d := kept.Sub(now); d != 0 {
		t.Errorf("it is %v later", d)
	}
	if !strings.Contains(kept.String(), " m=") {
		t.Errorf("%v is of the wall clock", kept)
	}
	if d := Since(0); d < 24*time.Hour {
		t.Errorf("zero is %v ago", d)
	}
}

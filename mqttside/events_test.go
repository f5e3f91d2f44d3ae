package mqttside

import (
	"fmt"
	"testing"
)

// What was published comes back once for each time; what a device says is never taken for it.
func TestPublished(t *testing.T) {
	var p published
	if p.take("t", nil) {
		t.Error("nothing was published")
	}
	p.add("t", []byte("a"))
	p.add("t", []byte("a"))
	for i, want := range []bool{true, true, false} {
		if p.take("u", []byte("a")) || p.take("t", []byte("b")) {
			t.Error("another one is taken")
		}
		if got := p.take("t", []byte("a")); got != want {
			t.Errorf("%d: %v", i, got)
		}
	}
	for i := range mostPublished + 1 {
		p.add("t", fmt.Append(nil, i))
	}
	if p.take("t", []byte("0")) || !p.take("t", []byte("1")) || !p.take("t", fmt.Append(nil, mostPublished)) {
		t.Error("the newest are remembered")
	}
}

package session

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBindings(t *testing.T) {
	want := binding{session: NewID(), id: 513, qos: 2, phase: released}
	got, err := parseBinding(want.bytes())
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(binding{})); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for name, h := range map[string]binding{
		"no id": {qos: 2, phase: 1}, "QoS 0": {id: 1, phase: 1}, "QoS 3": {id: 1, qos: 3, phase: 1},
		"released at QoS 1": {id: 1, qos: 1, phase: 2}, "no phase": {id: 1, qos: 2},
	} {
		if _, err := parseBinding(h.bytes()); !errors.Is(err, errBinding) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseBinding(want.bytes()[:12]); !errors.Is(err, errBinding) {
		t.Errorf("short: %v", err)
	}
}

package app

import (
	"maps"
	"testing"

	"chatrelay/bridge"
	"chatrelay/internal/admin"
)

// TestLosses: each side's connections are counted apart, by reason.
func TestLosses(t *testing.T) {
	var l losses
	if got := l.all(); len(got) != 0 {
		t.Errorf("at first %v", got)
	}
	l.of(bridge.MQTT)("reset")
	l.of(bridge.MQTT)("reset")
	l.of(bridge.XMPP)("reset")
	l.of(bridge.XMPP)("silent")
	want := map[admin.Loss]int64{{Side: bridge.MQTT, Reason: "reset"}: 2, {Side: bridge.XMPP, Reason: "reset"}: 1, {Side: bridge.XMPP, Reason: "silent"}: 1}
	if got := l.all(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

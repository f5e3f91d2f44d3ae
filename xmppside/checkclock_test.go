package xmppside

import (
	"strings"
	"testing"
	"time"

	"chatrelay/test/servers"
)

func TestClockStep(t *testing.T) {
	asked := time.Date(2026, 11, 30, 9, 0, 0, 900_000_000, time.UTC)
	answered := asked.Add(2 * time.Second)
	for output, want := range map[string]string{
		"2026-11-30T09:00:00Z": "agrees", "2026-11-30T09:00:01.5Z": "agrees", "2026-11-30T09:00:02Z": "agrees",
		"2026-11-30T10:00:01+01:00": "agrees", "2026-11-30T09:01:02Z": "agrees", "2026-11-30T08:59:02Z": "agrees",
		"2026-11-30T09:01:10Z": "is 1m7s away", "2026-11-30T08:00:00Z": "is 1h0m1s away", "2027-11-30T09:00:00Z": "away",
		"": "does not tell", "nonsense": "does not tell",
	} {
		s := clockStep(output, asked, answered)
		if !strings.Contains(s.Note, want) || s.OK != !strings.Contains(want, "away") || s.Fatal {
			t.Errorf("%s: %+v, want %q", output, s, want)
		}
	}
}

// TestClock: both servers tell their time.
func TestClock(t *testing.T) {
	bothServers(t, servers.XMPPConfig{}, func(t *testing.T, x *servers.XMPP) {
		if s := step(t, Check(t.Context(), testConfig(x)), "clock"); !s.OK || s.Note != "agrees with ours" {
			t.Errorf("%+v", s)
		}
	})
}

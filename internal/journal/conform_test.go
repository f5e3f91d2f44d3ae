package journal

import (
	"testing"

	"chatrelay/bridge"
	"chatrelay/bridge/bridgetest"

	"github.com/rs/zerolog"
)

func TestJournal(t *testing.T) {
	for name, dir := range map[string]func(*testing.T) string{
		"memory": func(*testing.T) string { return "memory" },
		"disk":   func(t *testing.T) string { return t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			bridgetest.RunJournal(t, func(t *testing.T) bridgetest.Journal {
				return openTest(t, Options{Dir: dir(t), Sync: "os", Notices: bridge.Notices{Sent: true, Delayed: true, Failed: true, Received: true, Read: true, Typing: true}, Log: zerolog.Nop()})
			})
		})
	}
}

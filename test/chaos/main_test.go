package chaos

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"chatrelay/test/stage"
)

// What TestMain sets before any test runs.
var (
	binary string  // the relay with fail points
	every  bool    // every row, against both servers
	full   bool    // at full length
	mqtt   string  // version that the relay speaks; empty: the best that the broker knows
	report results // what the rows found
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	full = os.Getenv("CHATRELAY_CHAOS") == "full"
	mqtt = os.Getenv("CHATRELAY_CHAOS_MQTT")
	every = full || os.Getenv("CHATRELAY_CHAOS") == "all"
	dir, err := os.MkdirTemp("", "chatrelay-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = stage.Build(dir, "chatrelay/test/chaos/relay"); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	code := m.Run()
	if err := report.write(); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	return code
}

// TestFaults runs the rows one after the other: two loads at once would measure each other.
func TestFaults(t *testing.T) {
	for _, f := range faults() {
		for _, x := range stage.XMPPServers() {
			if every || strings.Contains(f.short, x.Name) {
				row := f // it is changed for a server
				t.Run(f.name+"/"+x.Name, func(t *testing.T) { row.run(t, x) })
			}
		}
	}
}

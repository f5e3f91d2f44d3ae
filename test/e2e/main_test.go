package e2e

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"chatrelay/test/stage"
)

// binary is the relay under test; TestMain sets it before any test runs.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if binary = os.Getenv("CHATRELAY_E2E_BINARY"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "chatrelay-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = stage.Build(dir, "chatrelay/cmd/chatrelay"); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

// loadSize is how many messages a load sends each way.
func loadSize(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("CHATRELAY_E2E_N"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("CHATRELAY_E2E_N=%q is no count", s)
		}
		return n
	}
	if testing.Short() {
		return 1000
	}
	return 10000
}

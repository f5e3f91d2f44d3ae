package console

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"chatrelay/test/stage"
)

// binary is the relay under test, and axe the source of axe-core; TestMain sets both before any test runs.
var binary, axe string

const axeFile = "node_modules/axe-core/axe.min.js"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "chatrelay-console-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = stage.Build(dir, "chatrelay/cmd/chatrelay"); err == nil {
		axe, err = source()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "console:", err)
		return 1
	}
	return m.Run()
}

// source is axe-core, which make has fetched; without make it is fetched here.
func source() (string, error) {
	b, err := os.ReadFile(axeFile)
	if os.IsNotExist(err) {
		if output, err := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--silent").CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm ci in test/console: %w\n%s", err, output)
		}
		b, err = os.ReadFile(axeFile)
	}
	return string(b), err
}

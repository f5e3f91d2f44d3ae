package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// said runs the binary's front and returns what it wrote to standard output.
func runMain(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	code = run(args)
	os.Stdout = stdout
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r) // help fits in a pipe
	if err != nil {
		t.Fatal(err)
	}
	return code, string(b)
}

// TestHelp: whoever asks is answered on standard output, and that is no failure.
func TestHelp(t *testing.T) {
	for line, want := range map[string]string{
		"help":              "usage: chatrelay [command]",
		"-h":                "usage: chatrelay [command]",
		"--help":            "usage: chatrelay [command]",
		"help check":        "usage: chatrelay check",
		"run -h":            "usage: chatrelay run",
		"run --help":        "usage: chatrelay run",
		"check -h":          "usage: chatrelay check",
		"health -help":      "usage: chatrelay health",
		"version -h":        "usage: chatrelay version",
		"completion -h":     "usage: chatrelay completion bash",
		"man -h":            "usage: chatrelay man",
		"man":               ".TH CHATRELAY 1",
		"completion fish":   "complete -c chatrelay",
		"journal -h":        "usage: chatrelay journal ls",
		"journal help":      "usage: chatrelay journal ls",
		"journal ls -h":     "-pending",
		"journal show -h":   "usage: chatrelay journal ls",
		"journal drop -h":   "-older",
		"journal requeue -": "",
	} {
		code, out := runMain(t, strings.Fields(line)...)
		if want == "" {
			if code == 0 {
				t.Errorf("%s: exit code 0", line)
			}
			continue
		}
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("chatrelay %s: exit code %d, want 0 and %q; it says\n%s", line, code, want, out)
		}
	}
	if code, out := runMain(t, "nonsense"); code != 2 || out != "" {
		t.Errorf("an unknown command: exit code %d, %q", code, out)
	}
}

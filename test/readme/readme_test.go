// Package readme holds the README to its word: it runs what a newcomer is told to type.
package readme

import (
	"context"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"chatrelay/test/servers"
	"chatrelay/test/stage"
)

const (
	readme  = "../../README.md"
	section = "## Your own servers in five minutes\n"
)

// fence is a block of the section: shell commands, or else what they print.
type fence struct {
	shell bool
	text  string
}

func fences(t *testing.T) (out []fence) {
	t.Helper()
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), section)
	text, _, _ = strings.Cut(text, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```(sh)?\n(.*?)```\n").FindAllStringSubmatch(text, -1) {
		out = append(out, fence{shell: m[1] == "sh", text: m[2]})
	}
	if !ok || len(out) < 4 || !strings.Contains(out[0].text, "apt-get install") {
		t.Fatalf("README has no %q with commands", section)
	}
	return out[1:] // the first one builds and installs
}

// TestFiveMinutes runs the commands of "Your own servers in five minutes" and finds each line that is shown there in
// what they print.
func TestFiveMinutes(t *testing.T) {
	for _, binary := range []string{"mosquitto_sub", "go-sendxmpp", "openssl", "curl"} {
		if _, err := exec.LookPath(binary); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := stage.Build(filepath.Join(dir, "bin"), "chatrelay/cmd/chatrelay"); err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t)
	// A warning of check is none of README's: the machine may be busy, or its disk nearly full.
	warned := strings.NewReplacer("bin/chatrelay check\n", "bin/chatrelay check || test $? -eq 2\n")
	script, shown := "set -eu\nPATH=$PATH:/usr/sbin\ntrap 'kill $(jobs -p)' EXIT\n", ""
	for _, f := range fences(t) {
		if !f.shell {
			shown += f.text
			continue
		}
		script += warned.Replace(ports.Replace(strings.ReplaceAll(f.text, "sleep 2\n", "sleep 4\n"))) // the machine may be busy
		script += ports.Replace("for port in 11883 15222; do until (: </dev/tcp/127.0.0.1/$port) 2>>probe.log; do sleep 0.1; done; done\n")
	}
	out := run(t, dir, script)
	for line := range strings.Lines(shown) {
		if want := masked(ports.Replace(line)); !strings.Contains(masked(out), want) {
			t.Errorf("README shows, and it does not come:\n%s", line)
		}
	}
	if t.Failed() {
		t.Log(out)
		for _, name := range []string{"mosquitto.log", "prosody.log", "prosodyctl.log", "openssl.log", "chatrelay.log"} {
			output, _ := os.ReadFile(filepath.Join(dir, "try", name))
			t.Logf("%s:\n%s", name, output)
		}
	}
}

// freePorts replaces README's ports by some that nobody listens on.
func freePorts(t *testing.T) *strings.Replacer {
	t.Helper()
	var pairs []string
	for _, port := range []string{"11883", "15222", "18080"} {
		_, free, err := net.SplitHostPort(servers.FreeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, port, free)
	}
	return strings.NewReplacer(pairs...)
}

// masked is text without what differs from run to run.
func masked(text string) string {
	text = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`).ReplaceAllString(text, "TIME")
	return regexp.MustCompile(`"statusTime":\d+`).ReplaceAllString(text, `"statusTime":TIME`)
}

// run ends with the script and all that it has started.
func run(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	return string(out)
}

// TestLinks: what README and docs link to is there.
func TestLinks(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil || len(files) < 6 || len(more) < 10 {
		t.Fatalf("%q, %q, %v", files, more, err)
	}
	for chinese := range maps.Values(translations(t)) {
		files = append(files, chinese)
	}
	for _, file := range append(append(files, more...), readme, "../../CHANGELOG.md") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s", file, m[1])
			}
		}
	}
}

// TestTwoScreens: README stays as short as a newcomer's patience.
func TestTwoScreens(t *testing.T) {
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > 220 {
		t.Errorf("README has %d lines: move something to docs/", n)
	}
}

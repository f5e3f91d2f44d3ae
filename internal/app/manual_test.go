package app

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"chatrelay/configs"
)

// output is what a command writes.
func output(t *testing.T, run func(Process, []Command) error, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(Process{Args: args, Out: &out, Version: "v1.2.3-rc.1"}, Commands()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestManual: the page is right for the formatter, and has every command, option and setting.
func TestManual(t *testing.T) {
	page := output(t, Manual)
	format := func(args ...string) string {
		cmd := exec.Command("groff", append([]string{"-man", "-Kutf8"}, args...)...)
		cmd.Stdin = strings.NewReader(page)
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("groff: %v\n%s", err, output)
		}
		return string(output)
	}
	if output := format("-ww", "-z"); output != "" {
		t.Errorf("groff warns: %s", output)
	}
	shown := format("-Tutf8", "-P-cbou", "-rLL=200n", "-rHY=0")
	for _, want := range []string{"chatrelay v1.2.3-rc.1", "chatrelay check [-json]", "requeue -older AGE", "exit code  0 all is well", `{"severity": …`} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, c := range Commands() {
		for line := range strings.Lines(c.usage) {
			if !strings.Contains(shown, strings.TrimSpace(line)) {
				t.Errorf("of %s the page lacks %q", c.Name, line)
			}
		}
	}
	for _, d := range configs.Describe() {
		if !strings.Contains(page, roff(d.Name)+"\n"+roff(d.Text)) {
			t.Errorf("the page lacks %s", d.Name)
		}
	}
}

// TestRoff: nothing of a text is taken for a request.
func TestRoff(t *testing.T) {
	for in, want := range map[string]string{
		".a\n.b c.d": "\\&.a\n\\&.b c.d", `a\b`: `a\eb`, "'x": `\(aqx`, "-o": `\-o`, `~"^` + "`": `\(ti\(dq\(ha\(ga`,
	} {
		if got := roff(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

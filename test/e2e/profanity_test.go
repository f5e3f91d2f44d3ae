package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatrelay/test/stage"
)

// profanity is a client for people, in a terminal. What it says by colours is read, too: with receipts asked for, a text is red
// until its receipt has come. A plus sign stands at what was corrected.
func (c *chat) profanity(t *testing.T) {
	window := startProfanity(t, c, "1004")
	window.shows(t, "logged in successfully")
	for _, command := range []string{"/receipts request on", "/receipts send on", "/correction on", "/sub request " + c.at("1002")} {
		window.types(t, command)
	}
	window.shows(t, regexp.QuoteMeta(c.at("1002"))+" is online")

	window.types(t, "/msg "+c.XMPP.JID("1003")+" who knows of no receipts")
	window.shows(t, regexp.QuoteMeta("\x1b[31mme: who knows of no receipts"))
	window.types(t, "/msg "+c.at("1002")+" hello from profanity")
	window.shows(t, regexp.QuoteMeta("\x1b[39mhello from profanity"))
	c.reads(t, "1004", "1002", "hello from profanity")
	window.types(t, "/correct hello again from profanity")
	window.shows(t, ` \+ .*hello again from profanity`)
	c.reads(t, "1004", "1002", "hello again from profanity", `"replaces":"`)

	first := c.sends(t, stage.Direct("1002", "1004", "an answr"), "1004")
	window.shows(t, ` - .*an answr`)
	c.sends(t, stage.Direct("1002", "1004", "an answer"), "1004", `"replaces":"`+first.ID+`"`)
	window.shows(t, ` \+ .*an answer`)
	file := stage.Direct("1002", "1004", "https://files.chat.test/a-cat.jpg")
	file.ContentType = 1
	c.sends(t, file, "1004")
	window.shows(t, ` - .*https://files\.chat\.test/a-cat\.jpg`)
}

// terminal is one of tmux, in which a program runs.
type terminal struct{ socket string }

// startProfanity logs a person in, until the end of the test.
func startProfanity(t *testing.T, c *chat, name string) *terminal {
	t.Helper()
	for _, program := range []string{"profanity", "tmux"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: there is no %s; scripts/deps test installs it", program)
		}
	}
	host, port, err := net.SplitHostPort(c.XMPP.Addr)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "profanity"), 0o700); err != nil {
		t.Fatal(err)
	}
	account := fmt.Sprintf("[me]\nenabled=true\njid=%s\nserver=%s\nport=%s\nresource=profanity\npassword=%s\ntls.policy=disable\n"+
		"presence.last=online\npresence.login=online\n", c.XMPP.JID(name), host, port, c.XMPP.Password(name))
	if err := os.WriteFile(filepath.Join(home, "profanity", "accounts"), []byte(account), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "tmux") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	window := &terminal{socket: filepath.Join(dir, "socket")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("profanity shows:\n%s", window.read(t))
		}
		_, _ = window.tmux("kill-server")
		_ = os.RemoveAll(dir)
	})
	if output, err := window.tmux("-f", "/dev/null", "new-session", "-d", "-x", "160", "-y", "40",
		"env", "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "TERM=screen", "LC_ALL=C.UTF-8", "profanity", "-a", "me"); err != nil {
		t.Fatalf("tmux: %v: %s", err, output)
	}
	return window
}

func (w *terminal) tmux(args ...string) (string, error) {
	output, err := exec.Command("tmux", append([]string{"-S", w.socket}, args...)...).CombinedOutput()
	return string(output), err
}

// types writes a line and presses Enter.
func (w *terminal) types(t *testing.T, line string) {
	t.Helper()
	for _, keys := range [][]string{{"-l", "--", line}, {"Enter"}} {
		if output, err := w.tmux(append([]string{"send-keys"}, keys...)...); err != nil {
			t.Fatalf("tmux: %v: %s", err, output)
		}
	}
}

// read is what the terminal shows, with the signs of its colours.
func (w *terminal) read(t *testing.T) string {
	t.Helper()
	shown, err := w.tmux("capture-pane", "-p", "-e")
	if err != nil {
		t.Fatalf("tmux: %v: %s", err, shown)
	}
	return strings.TrimRight(shown, "\n")
}

// shows waits until a line of the terminal is as the pattern says.
func (w *terminal) shows(t *testing.T, pattern string) {
	t.Helper()
	want, late := regexp.MustCompile(pattern), time.Now().Add(stage.WaitLimit)
	for !want.MatchString(w.read(t)) {
		if time.Now().After(late) {
			t.Fatalf("the terminal does not show %q", pattern)
		}
		time.Sleep(50 * time.Millisecond) // a poll's pause
	}
}

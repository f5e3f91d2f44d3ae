package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatrelay/configs"
)

func TestReport(t *testing.T) {
	for name, tt := range map[string]struct {
		steps []step
		want  string
		code  int
	}{
		"all well":  {[]step{{"a", true, false, ""}, {"b", true, true, "found"}}, "ok    a\nok    b: found\n", 0},
		"a warning": {[]step{{"a", false, false, "do this"}}, "warn  a: do this\n", 0},
		"a failure": {[]step{{"a", false, true, "do that"}, {"b", true, false, ""}}, "FAIL  a: do that\nok    b\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := report(&out, tt.steps); ExitCode(err) != tt.code || out.String() != tt.want {
				t.Errorf("%v\n%s\nwant %d\n%s", err, out.String(), tt.code, tt.want)
			}
		})
	}
}

func TestCheckStore(t *testing.T) {
	check := func(dir string) step { return checkStore(&configs.Config{Store: configs.Store{Dir: dir}}) }
	dir := t.TempDir()
	if s := check(dir); storageWarning(dir) == "" && (!s.ok || !strings.Contains(s.note, "no journal yet")) {
		t.Errorf("an empty folder: %+v", s)
	}
	buried(t, dir, "a")
	if s := check(dir); storageWarning(dir) == "" && (!s.ok || s.note != "there is a journal") {
		t.Errorf("a journal: %+v", s)
	}
	if s := check("memory"); s.ok || s.fatal {
		t.Errorf("memory: %+v", s)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := check(file); storageWarning(dir) == "" && (s.ok || !s.fatal || !strings.Contains(s.note, "CHATRELAY_STORE")) {
		t.Errorf("a file: %+v", s)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "book.db"), []byte("SQLite format 3\x00 and then nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := check(broken); storageWarning(dir) == "" && (s.ok || !s.fatal) {
		t.Errorf("a damaged journal: %+v", s)
	}
}

func TestCheckGroups(t *testing.T) {
	c := configs.Config{Files: configs.Files{Groups: map[string][]string{"a@x": {"1001"}, "b@x": nil}}}
	c.Messages.GroupSenders = "any"
	if s := checkGroups(&c); len(s) != 1 || s[0].ok || s[0].fatal || s[0].name != "group b@x" || strings.Contains(s[0].note, "MQTT senders") {
		t.Errorf("%+v", s)
	}
	c.Messages.GroupSenders = configs.GroupMembers
	if s := checkGroups(&c); len(s) != 1 || !strings.Contains(s[0].note, "MQTT senders") {
		t.Errorf("%+v", s)
	}
}

func TestFragile(t *testing.T) {
	if storageWarning("memory") == "" {
		t.Error("memory was not said to be memory")
	}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if why := storageWarning("/dev/shm/not/there/yet"); !strings.Contains(why, "memory") {
			t.Errorf("/dev/shm: %q", why)
		}
	}
}

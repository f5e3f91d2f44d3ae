package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatrelay/bridge"
	"chatrelay/configs"
)

func TestReport(t *testing.T) {
	for name, tt := range map[string]struct {
		steps []bridge.Step
		text  string
		json  string
		code  int
	}{
		"all well": {[]bridge.Step{{Name: "a", OK: true, Fatal: false, Note: ""}, {Name: "b", OK: true, Fatal: true, Note: "found"}}, "ok    a\nok    b: found\n",
			`{"severity":"ok","steps":[{"name":"a","severity":"ok"},{"name":"b","severity":"ok","note":"found"}]}`, 0},
		"a warning": {[]bridge.Step{{Name: "a", OK: false, Fatal: false, Note: "wrong", Fix: "do <this> in CHATRELAY_X"}}, "warn  a: wrong: do <this> in CHATRELAY_X\n",
			`{"severity":"warning","steps":[{"name":"a","severity":"warning","note":"wrong","fix":"do <this> in CHATRELAY_X","variables":["CHATRELAY_X"]}]}`, 2},
		"a failure": {[]bridge.Step{{Name: "a", OK: false, Fatal: true, Note: "do that"}, {Name: "b", OK: false, Fatal: false, Note: ""}}, "FAIL  a: do that\nwarn  b\n",
			`{"severity":"error","steps":[{"name":"a","severity":"error","note":"do that"},{"name":"b","severity":"warning"}]}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := report(&out, tt.steps, false); ExitCode(err) != tt.code || out.String() != tt.text {
				t.Errorf("%v\n%s\nwant %d\n%s", err, out.String(), tt.code, tt.text)
			}
			out.Reset()
			err := report(&out, tt.steps, true)
			var got bytes.Buffer
			if bad := json.Compact(&got, []byte(out.String())); bad != nil || ExitCode(err) != tt.code || got.String() != tt.json {
				t.Errorf("%v %v\n%s\nwant %d\n%s", err, bad, got.String(), tt.code, tt.json)
			}
		})
	}
}

// A configuration that cannot be used is reported as everything else is.
func TestCheckConfiguration(t *testing.T) {
	var out strings.Builder
	err := Check(Process{Args: []string{"-json"}, Environ: []string{"CHATRELAY_XMPP_JID=a@b", "CHATRELAY_MQTT_QOS=7"}, Out: &out})
	if ExitCode(err) != ExitFailure || !strings.Contains(out.String(), "CHATRELAY_MQTT_QOS") || !strings.Contains(out.String(), "CHATRELAY_XMPP_PASSWORD") {
		t.Errorf("%v: %s", err, out.String())
	}
	for _, args := range [][]string{{"x"}, {"-x"}} {
		if err := Check(Process{Args: args, Out: &out}); ExitCode(err) != ExitConfiguration {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestCheckHTTP(t *testing.T) {
	if s, running := checkHTTP(t.Context(), &configs.HTTP{Addr: "127.0.0.1:0"}); !s.OK || running {
		t.Errorf("a free port: %+v", s)
	}
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ok": true}`) }))
	defer relay.Close()
	if s, running := checkHTTP(t.Context(), &configs.HTTP{Addr: relay.Listener.Addr().String()}); !s.OK || !running || !strings.Contains(s.Text(), "already") {
		t.Errorf("a relay: %+v", s)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if s, running := checkHTTP(t.Context(), &configs.HTTP{Addr: other.Listener.Addr().String()}); s.OK || running || !s.Fatal || !strings.Contains(s.Text(), "CHATRELAY_HTTP_ADDR") {
		t.Errorf("somebody else: %+v", s)
	}
}

func TestCheckStore(t *testing.T) {
	check := func(dir string) bridge.Step { return checkStore(&configs.Config{Store: configs.Store{Dir: dir}}) }
	dir := t.TempDir()
	if s := check(dir); storageWarning(dir) == "" && (!s.OK || !strings.Contains(s.Text(), "no journal yet")) {
		t.Errorf("an empty folder: %+v", s)
	}
	buried(t, dir, "a")
	if s := check(dir); storageWarning(dir) == "" && (!s.OK || s.Text() != "there is a journal") {
		t.Errorf("a journal: %+v", s)
	}
	if s := check("memory"); s.OK || s.Fatal {
		t.Errorf("memory: %+v", s)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := check(file); s.OK || !s.Fatal || !strings.Contains(s.Fix, "CHATRELAY_STORE") {
		t.Errorf("a file: %+v", s)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "journal.db"), []byte("SQLite format 3\x00 and then nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := check(broken); s.OK || !s.Fatal || !strings.Contains(s.Fix, "CHATRELAY_STORE") {
		t.Errorf("a damaged journal: %+v", s)
	}
	f, err := os.OpenFile(filepath.Join(dir, "journal.db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{99}, 63) // the last byte of user_version, in the header of a SQLite file
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if s := check(dir); s.OK || !s.Fatal || !strings.Contains(s.Text(), "newer chatrelay") {
		t.Errorf("a journal of a newer version: %+v", s)
	}
}

func TestCheckGroups(t *testing.T) {
	c := configs.Config{Files: configs.Files{Groups: map[string][]string{"a@x": {"1001"}, "b@x": nil}}}
	c.Messages.GroupSenders = "any"
	if s := checkGroups(&c); len(s) != 1 || s[0].OK || s[0].Fatal || s[0].Name != "group b@x" || strings.Contains(s[0].Text(), "MQTT senders") {
		t.Errorf("%+v", s)
	}
	c.Messages.GroupSenders = configs.GroupMembers
	if s := checkGroups(&c); len(s) != 1 || !strings.Contains(s[0].Text(), "MQTT senders") {
		t.Errorf("%+v", s)
	}
}

func TestStorageWarning(t *testing.T) {
	if storageWarning("memory") == "" {
		t.Error("memory was not said to be memory")
	}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if why := storageWarning("/dev/shm/not/there/yet"); !strings.Contains(why, "memory") {
			t.Errorf("/dev/shm: %q", why)
		}
	}
}

package stage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStrictLog(t *testing.T) {
	for line, want := range map[string]string{
		`{"level":"info","side":"mqtt","message":"connected"}`: "",
		`chatrelay: stopped before all was finished`:           "",
		`{"level":"info","level":4,"message":"connected"}`:     "duplicate",
		`{"a":{"b":1,"b":2}}`:                                  "duplicate",
		`{"a":1}{"b":2}`:                                       "more than one",
		`{"a":1`:                                               "EOF",
		`panic: runtime error`:                                 "",
		"{\"a\":\"\xff\"}":                                     "UTF-8",
		`7`:                                                    "no JSON object",
	} {
		file := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := checkLog(file)
		if wrong := line == `panic: runtime error`; (want == "" && !wrong) != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	if err := checkLog(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
}

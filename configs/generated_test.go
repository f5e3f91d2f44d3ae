package configs

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What is made from the tags is written anew by `go generate ./configs`.
//
//go:generate go test . -run ^TestGenerated$ -update

const (
	tableBegin = "<!-- config:begin -->"
	tableEnd   = "<!-- config:end -->"
	readme     = "../README.md"
	reference  = "../docs/CONFIGURATION.md"
	example    = "../example.env"
)

// inReadme are the settings that most people set.
var inReadme = []string{
	"MQTT_URL", "MQTT_USERNAME", "MQTT_PASSWORD", "TOPIC_PREFIX", "XMPP_JID", "XMPP_PASSWORD", "XMPP_ADDR", "GROUPS_FILE", "STORE", "HTTP_ADDR",
}

func TestGenerated(t *testing.T) {
	for file, make := range map[string]func(*testing.T) string{
		example:   func(*testing.T) string { return Example() },
		reference: func(t *testing.T) string { return withTable(t, reference, Table()) },
		readme:    func(t *testing.T) string { return withTable(t, readme, rowsOf(inReadme)) },
	} {
		t.Run(file, func(t *testing.T) {
			want := make(t)
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != want {
				t.Errorf("%s is not what the tags in configs.go say: run go generate ./configs", file)
			}
		})
	}
}

// withTable is the file with the table of today between its marks.
func withTable(t *testing.T, file, table string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(b), tableBegin)
	_, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks %s … %s", file, tableBegin, tableEnd)
	}
	return head + tableBegin + "\n" + table + tableEnd + tail
}

// rowsOf is the table's head and the rows of these settings.
func rowsOf(names []string) string {
	var out strings.Builder
	for i, line := range slices.Collect(strings.Lines(Table())) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "| `"+Prefix), "`")
		if i < 2 || slices.Contains(names, name) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// TestDocumentsNameSettings: a setting that a document names exists.
func TestDocumentsNameSettings(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) < 5 {
		t.Fatalf("%q, %v", files, err)
	}
	known := names()
	for _, file := range append(files, readme, "../Dockerfile", "../deploy/k8s/standalone.yaml", "../deploy/k8s/sidecar.yaml") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(Prefix+`[A-Z0-9_]*[A-Z0-9]`).FindAllString(string(b), -1) {
			if !slices.Contains(known, name) && !strings.HasPrefix(name, Prefix+"CHAOS") {
				t.Errorf("%s names %s, which is no setting", file, name)
			}
		}
	}
}

// TestExampleLoads: it is right as it stands, and with every line switched on that shows a default.
func TestExampleLoads(t *testing.T) {
	var env, all []string
	for line := range strings.Lines(Example()) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "#") && line != "" {
			env = append(env, line)
		}
		if s := strings.TrimPrefix(line, "# "); strings.HasPrefix(s, Prefix) && !strings.Contains(s, "=   (") {
			all = append(all, s)
		}
	}
	for _, e := range [][]string{env, all} {
		if _, err := Load(e); err != nil {
			t.Error(err)
		}
	}
	if len(env) != 2 || len(all) < 30 {
		t.Errorf("%d are set and %d shown", len(env), len(all))
	}
}

// TestTags: every setting is described, and has one name.
func TestTags(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range new(Config).fields() {
		if f.name == Prefix || f.desc == "" || seen[f.name] {
			t.Errorf("%s: %+v", f.goName, f)
		}
		seen[f.name] = true
		if strings.Count(Table(), "| `"+f.name+"` |") != 1 {
			t.Errorf("%s has no row in the table", f.name)
		}
		if f.required && f.example == "" {
			t.Errorf("%s is required and has no example", f.name)
		}
	}
	for _, secret := range []string{"MQTT_PASSWORD", "XMPP_PASSWORD", "HTTP_TOKEN", "CONSOLE_TOKEN", "CONSOLE_READ_TOKEN"} {
		if !seen[Prefix+secret] || !seen[Prefix+secret+"_FILE"] {
			t.Errorf("%s has no twin", secret)
		}
	}
	for line := range strings.Lines(Table()) {
		if strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 4 || strings.ContainsAny(line, "<>") {
			t.Errorf("this row is broken: %s", line)
		}
	}
}

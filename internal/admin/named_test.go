package admin

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNamedMetrics: what alerts, dashboard and documents name is on the page; what the alerts are about is not forgotten.
func TestNamedMetrics(t *testing.T) {
	var known []string
	for _, m := range table() {
		known = append(known, "chatrelay_"+m.name)
	}
	for _, h := range histograms() {
		for _, part := range []string{"", "_bucket", "_count", "_sum"} {
			known = append(known, "chatrelay_"+h.name+part)
		}
	}
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) < 5 {
		t.Fatalf("%q, %v", files, err)
	}
	name := regexp.MustCompile(`\bchatrelay_[a-z][a-z_]*[a-z]\b`)
	notMetrics := []string{"chatrelay_linux"} // a file's name
	for _, file := range append(files, "../../deploy/prometheus/chatrelay.rules.yaml", "../../deploy/prometheus/chatrelay.test.yaml",
		"../../deploy/grafana/chatrelay.json", "../../README.md") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range name.FindAllString(string(b), -1) {
			if !slices.Contains(known, found) && !slices.ContainsFunc(notMetrics, func(s string) bool { return strings.HasPrefix(found, s) }) {
				t.Errorf("%s names %s, which is no metric", file, found)
			}
		}
	}
}

// TestStatusFields: docs/MONITORING.md has every field of /statusz.
func TestStatusFields(t *testing.T) {
	b, err := os.ReadFile("../../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## /statusz\n")
	section, _, _ = strings.Cut(section, "\n## ")
	names := jsonNames(reflect.TypeFor[Status]())
	for _, name := range names {
		if !regexp.MustCompile("[`.]" + name + "`").MatchString(section) {
			t.Errorf("it does not tell of %s", name)
		}
	}
	if len(names) < 25 {
		t.Errorf("%q", names)
	}
}

// jsonNames are the names of all fields of a struct, and of those in it.
func jsonNames(typ reflect.Type) (out []string) {
	switch typ.Kind() {
	case reflect.Map, reflect.Pointer, reflect.Slice:
		return jsonNames(typ.Elem())
	case reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				out = append(out, name)
			}
			out = append(out, jsonNames(f.Type)...)
		}
	}
	return out
}

// The table of docs/MONITORING.md is written anew by `go generate ./internal/admin`.
//
//go:generate go test . -run ^TestMonitoringTable$ -update
var update = flag.Bool("update", false, "write what documents say of metrics")

// TestMonitoringTable: the document has every metric, in the words of the page.
func TestMonitoringTable(t *testing.T) {
	const file, begin, end = "../../docs/MONITORING.md", "<!-- metrics:begin -->\n", "<!-- metrics:end -->"
	var rows strings.Builder
	rows.WriteString("| metric | labels | |\n|---|---|---|\n")
	for _, m := range table() {
		rows.WriteString("| `chatrelay_" + m.name + "` | " + strings.Join(m.labels, ", ") + " | " + m.help + " |\n")
	}
	for _, h := range histograms() {
		rows.WriteString("| `chatrelay_" + h.name + "` | direction, le | " + h.help + " |\n")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	want := head + begin + rows.String() + end + tail
	if *update && ok1 && ok2 {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(b) != want {
		t.Errorf("%s is not what the table of metrics says: run go generate ./internal/admin", file)
	}
}

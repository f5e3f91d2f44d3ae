package chaos

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestGuarantees: docs/GUARANTEES.md names only tests that there are.
func TestGuarantees(t *testing.T) {
	text, err := os.ReadFile("../../docs/GUARANTEES.md")
	if err != nil {
		t.Fatal(err)
	}
	there := testNames(t, "../..")
	rows := 0
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || strings.HasPrefix(cells[1], " event") || strings.HasPrefix(cells[1], "---") {
			continue
		}
		rows++
		named := 0
		for _, m := range regexp.MustCompile("`(Test[A-Za-z0-9]+)[/`]").FindAllStringSubmatch(cells[5], -1) {
			named++
			if !there[m[1]] {
				t.Errorf("%s: there is no %s", cells[1], m[1])
			}
		}
		for _, m := range regexp.MustCompile(`\*([^*]+)\*`).FindAllStringSubmatch(cells[5], -1) {
			named++
			if !slices.ContainsFunc(faults(), func(f fault) bool { return strings.HasPrefix(f.name, m[1]) }) {
				t.Errorf("%s: there is no row %s", cells[1], m[1])
			}
		}
		if named == 0 {
			t.Errorf("%s: no test is named", cells[1])
		}
	}
	if rows < 15 {
		t.Errorf("%d events", rows)
	}
}

func testNames(t *testing.T, root string) map[string]bool {
	t.Helper()
	names, def := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range def.FindAllSubmatch(b, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

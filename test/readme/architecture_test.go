package readme

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArchitecture: the files, folders and tests that docs/ARCHITECTURE.md names are there.
func TestArchitecture(t *testing.T) {
	const document = "../../docs/ARCHITECTURE.md"
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	named := 0
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(string(b), -1) {
		switch name := m[1]; {
		case strings.HasPrefix(name, "Test"):
			named++
			if !tests[name] {
				t.Errorf("%s: there is no test %s", document, name)
			}
		case strings.Contains(name, "/") && !strings.HasPrefix(name, "/") && !strings.ContainsAny(name, " <="):
			named++
			if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
				t.Errorf("%s: there is no %s", document, name)
			}
		}
	}
	if named < 20 {
		t.Errorf("%s names %d files and tests", document, named)
	}
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names, def := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
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

package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// TestMain removes what the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// shared is one build of the repository as it is, for all tests.
var shared struct {
	once sync.Once
	dir  string
}

const earlier = "2026-01-02T03:04:05Z" // when the commit was made

// packages builds once, for this machine's architecture, and returns the folder.
func packages(t *testing.T) string {
	t.Helper()
	shared.once.Do(func() {
		var err error
		if shared.dir, err = os.MkdirTemp("", "chatrelay-packages-"); err != nil {
			t.Fatal(err)
		}
		buildCopy(t, filepath.Join(shared.dir, "first"))
	})
	dir := filepath.Join(shared.dir, "first")
	if _, err := os.Stat(filepath.Join(dir, "SHA256SUMS")); err != nil {
		t.Skip("there is no build: see the other tests")
	}
	return dir
}

// buildCopy builds a copy of the repository at a path of its own, as a commit of its own.
func buildCopy(t *testing.T, out string) {
	t.Helper()
	if output, err := exec.Command("git", "-C", "../..", "rev-parse", "--git-dir").CombinedOutput(); err != nil {
		t.Skipf("no repository, so it is NOT tested here: %s", output)
	}
	root := filepath.Join(t.TempDir(), "repository")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	// Not by git: what is tested here may be no repository, or somebody else's. In the copy .gitignore rules.
	sh(t, "../..", `tar -c --exclude=./.git --exclude=node_modules --exclude=./bin --exclude=./dist --exclude=./data . | tar -x --no-same-owner -C "$1"`, root)
	sh(t, root, `unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE; export GIT_AUTHOR_DATE=$1 GIT_COMMITTER_DATE=$1 GIT_CONFIG_GLOBAL=/dev/null
		git init -q && git add -A && git -c user.name=test -c user.email=test@example.org commit -qm test`, earlier)
	if err := build(t.Context(), root, out, []string{runtime.GOARCH}); err != nil {
		t.Fatal(err)
	}
}

func sh(t *testing.T, dir, script string, args ...string) string {
	t.Helper()
	cmd := exec.Command("bash", append([]string{"-euo", "pipefail", "-c", script, "bash"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// only is the one file that a pattern means.
func only(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

// TestReproducible: the same commit at another path gives the same bytes, and the checksums are right.
func TestReproducible(t *testing.T) {
	first, second := packages(t), filepath.Join(t.TempDir(), "second")
	buildCopy(t, second)
	entries, err := os.ReadDir(first)
	if err != nil || len(entries) != 5 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		a, err1 := os.ReadFile(filepath.Join(first, e.Name()))
		b, err2 := os.ReadFile(filepath.Join(second, e.Name()))
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs in the second build (%v, %v)", e.Name(), err1, err2)
		}
	}
	if output := sh(t, second, "sha256sum --strict -c SHA256SUMS"); strings.Count(output, ": OK") != 4 {
		t.Errorf("checksums:\n%s", output)
	}
}

// TestBinary: static, and it knows its version.
func TestBinary(t *testing.T) {
	file := filepath.Join(packages(t), "chatrelay_linux_"+runtime.GOARCH)
	e, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() // read only
	libraries, err := e.ImportedLibraries()
	if err != nil || len(libraries) > 0 || e.Section(".interp") != nil || e.Section(".debug_info") != nil {
		t.Errorf("it needs %q, %v, or has symbols", libraries, err)
	}
	if output := sh(t, ".", `"$1" version`, file); !strings.HasPrefix(output, "chatrelay v0.0.0-20260102030405-") || strings.Contains(output, "dirty") {
		t.Errorf("it says %q", output)
	}
}

// TestVersions: what dpkg makes of versions.
func TestVersions(t *testing.T) {
	for in, want := range map[string]string{
		"v1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3~rc.1", "v0.0.0-20260102030405-0123456789ab": "0.0.0~20260102030405.0123456789ab",
		"v1.2.4-0.20260102030405-0123456789ab+dirty": "1.2.4~0.20260102030405.0123456789ab+dirty",
	} {
		if got := (release{version: in}).debian(); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

// TestBillOfMaterials: it names what the binary says that it is made of.
func TestBillOfMaterials(t *testing.T) {
	dir := packages(t)
	f, err := os.Open(filepath.Join(dir, "chatrelay_linux_"+runtime.GOARCH+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // read only
	var b cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(f, cyclonedx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	output := sh(t, dir, `go version -m "$1"`, "chatrelay_linux_"+runtime.GOARCH)
	if got, want := len(*b.Components), strings.Count(output, "\tdep\t")+1; got != want {
		t.Errorf("%d components, want %d: the standard library and each module", got, want)
	}
	for _, c := range *b.Components {
		if c.Name != "std" && !strings.Contains(output, "\tdep\t"+c.Name+"\t"+c.Version) || c.PackageURL != "pkg:golang/"+c.Name+"@"+c.Version {
			t.Errorf("%s: %s", c.Name, c.PackageURL)
		}
		if c.Name != "std" && (c.Hashes == nil || len((*c.Hashes)[0].Value) != 64) {
			t.Errorf("%s has no checksum", c.Name)
		}
	}
	when, err := time.Parse(time.RFC3339, b.Metadata.Timestamp)
	if err != nil || when.Format(time.RFC3339) != earlier || len(b.SerialNumber) != len("urn:uuid:")+36 {
		t.Errorf("time %s, number %s", b.Metadata.Timestamp, b.SerialNumber)
	}
}

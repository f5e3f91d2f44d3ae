// Package scripts holds what make calls; its tests run it with a go command made of shell.
package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGo: a Go that is new enough is taken as it is, one that can fetch toolchains is told to, and for an older one
// the toolchain is fetched and made ready.
func TestGo(t *testing.T) {
	for _, c := range []struct{ name, version, want string }{
		{"new", "go1.99.1", "machine go1.99.1 list toolchain=local goroot=mine"},
		{"of a developer", "devel go1.99-abc", "machine devel go1.99-abc list toolchain=local goroot=mine"},
		{"Debian 13", "go1.24.4", "machine go1.24.4 list toolchain=go" + wanted(t) + "+auto goroot=mine"},
		{"the first with toolchains", "go1.21.0", "machine go1.21.0 list toolchain=go" + wanted(t) + "+auto goroot=mine"},
		{"Debian 12", "go1.19.8", "fetched list toolchain=local goroot="},
		{"Debian 11", "go1.15.15", "fetched list toolchain=local goroot="},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			stub(t, filepath.Join(dir, "bin", "go"), c.version, filepath.Join(dir, "cache"))
			for range 2 { // the second finds it fetched
				cmd := exec.Command("bash", "go", "list")
				cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin", "GOTOOLCHAIN=local", "GOROOT=mine"}
				out, err := cmd.Output()
				if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
					t.Errorf("got %q, %v, want %q", got, err, c.want)
				}
			}
		})
	}
}

// wanted is the version that is fetched.
func wanted(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "toolchain go"); ok {
			return strings.TrimSpace(v)
		}
	}
	t.Fatal("go.mod names no toolchain")
	return ""
}

// stub writes a go command that says what it is called with, and "downloads" a toolchain as an old Go leaves it: nothing can be run.
func stub(t *testing.T, file, version, cache string) {
	t.Helper()
	script := `#!/bin/sh
case "$*" in
"env GOVERSION") echo "` + version + `" ;;
"env GOHOSTOS") echo linux ;;
"env GOHOSTARCH") echo amd64 ;;
"env GOMODCACHE") echo "` + cache + `" ;;
"mod download golang.org/toolchain@v0.0.1-go` + wanted(t) + `.linux-amd64")
	dir="` + cache + `/$3"
	[ ! -d "$dir" ] || exit 1
	mkdir -p "$dir/bin" "$dir/src" "$dir/pkg/tool/linux_amd64"
	echo "module std" >"$dir/src/_go.mod"
	touch "$dir/pkg/tool/linux_amd64/compile"
	cat >"$dir/bin/go" <<'END'
#!/bin/sh
[ "$(command -v go)" = "$0" ] && [ -x "${0%/bin/go}/pkg/tool/linux_amd64/compile" ] && [ -f "${0%/bin/go}/src/go.mod" ] || exit 1
echo "fetched $* toolchain=$GOTOOLCHAIN goroot=$GOROOT"
END
	;;
*) echo "machine ` + version + ` $* toolchain=$GOTOOLCHAIN goroot=$GOROOT" ;;
esac
`
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

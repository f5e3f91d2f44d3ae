package main

import (
	"debug/buildinfo"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestDebianPackage leads the package's whole life in a copy of this machine's own Debian, which is thrown away.
func TestDebianPackage(t *testing.T) { life(t, "/") }

// TestEmptyDebian leads it in a Debian that has nothing else. It is made anew, which takes minutes: make packages-check.
func TestEmptyDebian(t *testing.T) {
	if os.Getenv("CHATRELAY_PACKAGES") != "full" {
		t.Skip("CHATRELAY_PACKAGES=full (make packages-check) runs it")
	}
	root := filepath.Join(t.TempDir(), "debian")
	said, err := exec.Command("mmdebstrap", "--variant=essential", "--include=adduser", "--mode=root", "bookworm", root).CombinedOutput()
	if err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, said)
	}
	life(t, root)
}

func life(t *testing.T, lower string) {
	needsRoot(t)
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("this is no Debian")
	}
	files := t.TempDir()
	if err := os.Chmod(files, 0o755); err != nil {
		t.Fatal(err)
	}
	old := only(t, packages(t)+"/*.deb")
	put(t, old, files, "old.deb")
	put(t, newer(t), files, "new.deb")
	put(t, "testdata/install.sh", files, "install.sh")
	version := strings.Split(filepath.Base(old), "_")[1]
	if err := os.WriteFile(filepath.Join(files, "old.version"), []byte(version), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "testdata/within.sh", lower, files, "install.sh")
	said, err := cmd.CombinedOutput()
	t.Logf("%s", said)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 77 {
		t.Skip("no overlay can be mounted here: it is NOT tested")
	}
	if err != nil || !strings.HasSuffix(string(said), "ALL WELL\n") {
		t.Fatalf("%v\n%s", err, said)
	}
}

// newer is a package of the same binary, as if it were of the next commit.
func newer(t *testing.T) string {
	t.Helper()
	file := filepath.Join(packages(t), "chatrelay_linux_"+runtime.GOARCH)
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{file: file, arch: runtime.GOARCH, info: info, release: release{version: "v0.0.0-20260102030406-000000000000", time: time.Now()}}
	out := t.TempDir()
	if err := writeDeb("../..", out, p, nil); err != nil {
		t.Fatal(err)
	}
	return only(t, out+"/*.deb")
}

// needsRoot skips where namespaces and other users are out of reach.
func needsRoot(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root on Linux can do that: it is NOT tested here")
	}
	if said, err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "none", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("nothing can be mounted, it is NOT tested here: %v %s", err, said)
	}
}

// put copies a file.
func put(t *testing.T, from, dir, name string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"debug/buildinfo"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestDebianPackage leads the package's whole life in a copy of this machine's own Debian, which is thrown away.
func TestDebianPackage(t *testing.T) { installs(t, "/") }

// TestEmptyDebian leads it in a Debian that has nothing else. It is made anew, which takes minutes: make packages-check.
func TestEmptyDebian(t *testing.T) {
	if os.Getenv("CHATRELAY_PACKAGES") != "full" {
		t.Skip("CHATRELAY_PACKAGES=full (make packages-check) runs it")
	}
	root := filepath.Join(t.TempDir(), "debian")
	output, err := exec.Command("mmdebstrap", "--variant=essential", "--include=adduser", "--mode=root", "bookworm", root).CombinedOutput()
	if err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, output)
	}
	installs(t, root)
}

// TestStranger comes to a Debian that has the servers as Debian sets them up, installs the package, follows docs/INSTALL.md, and
// ends with the first messages. It is made anew, too.
func TestStranger(t *testing.T) {
	if os.Getenv("CHATRELAY_PACKAGES") != "full" {
		t.Skip("CHATRELAY_PACKAGES=full (make packages-check) runs it")
	}
	needsRoot(t)
	root := filepath.Join(t.TempDir(), "debian")
	output, err := exec.Command("mmdebstrap", "--variant=apt", "--include=mosquitto,mosquitto-clients,prosody,go-sendxmpp,openssl,curl", "--mode=root", "bookworm", root).CombinedOutput()
	if err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, output)
	}
	files := t.TempDir()
	if err := os.Chmod(files, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, only(t, packages(t)+"/*.deb"), files, "chatrelay.deb")
	put(t, "testdata/stranger.sh", files, "stranger.sh")
	within(t, root, files, "stranger.sh")
}

// TestDocuments: each link of what the package brings leads to something that it brings, too.
func TestDocuments(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("this is no Debian")
	}
	root := t.TempDir()
	if output, err := exec.Command("dpkg-deb", "-x", only(t, packages(t)+"/*.deb"), root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	top := filepath.Join(root, "usr/share/doc/chatrelay")
	pages, links := 0, 0
	err := filepath.WalkDir(top, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		pages++
		b, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`\]\(([^)#: ]+)[^):]*\)`).FindAllSubmatch(b, -1) {
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), string(m[1]))); err != nil {
				t.Errorf("%s leads to %s, which is not in the package", path[len(top):], m[1])
			}
		}
		return err
	})
	if err != nil || pages < 15 || links < 50 {
		t.Errorf("%d pages with %d links, %v", pages, links, err)
	}
}

func installs(t *testing.T, lower string) {
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
	within(t, lower, files, "install.sh")
}

// within runs a script of the folder files in a copy of a Debian, which is thrown away. It has a network of its own.
func within(t *testing.T, lower, files, script string) {
	t.Helper()
	cmd := exec.Command("unshare", "--mount", "--net", "--propagation", "private", "sh", "testdata/within.sh", lower, files, script)
	output, err := cmd.CombinedOutput()
	t.Logf("%s", output)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 77 {
		t.Skip("no overlay can be mounted here: it is NOT tested")
	}
	if err != nil || !strings.HasSuffix(string(output), "ALL WELL\n") {
		t.Fatalf("%v\n%s", err, output)
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
	if output, err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "none", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("nothing can be mounted, it is NOT tested here: %v %s", err, output)
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

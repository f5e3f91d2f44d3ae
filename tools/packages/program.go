package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// program is the relay, built for one architecture.
type program struct {
	file, arch string
	info       *debug.BuildInfo
	release    release
}

// release is which state of the repository was built, as the go command stamps it into the binary.
type release struct {
	version  string // of semantic versioning; without a tag a pseudo-version made of the commit
	revision string
	time     time.Time // of the commit: every file is dated with it
}

// goCommand is the one that make uses.
func goCommand() string {
	if command := os.Getenv("GO"); command != "" {
		return command
	}
	return "go"
}

// compile builds the relay for an architecture.
func compile(ctx context.Context, root, out, arch string) (*program, error) {
	p := &program{file: filepath.Join(out, "chatrelay_linux_"+arch), arch: arch}
	err := goBuild(ctx, root, p.file, "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", arch, err)
	}
	if p.info, err = buildinfo.ReadFile(p.file); err != nil {
		return nil, err
	}
	p.release, err = releaseOf(p.info)
	return p, err
}

// goBuild builds as the Dockerfile does.
func goBuild(ctx context.Context, root, file string, environ ...string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	// -buildvcs: GOFLAGS may have switched it off.
	cmd := exec.CommandContext(ctx, goCommand(), "build", "-trimpath", "-buildvcs=auto", "-ldflags=-s -w", "-o", file, "./cmd/chatrelay")
	cmd.Dir, cmd.Env = root, append(append(os.Environ(), "CGO_ENABLED=0"), environ...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	return nil
}

// releaseOf reads the stamp. A tree without one (an unpacked archive) gets a version that is below all others.
func releaseOf(info *debug.BuildInfo) (r release, err error) {
	r.version, r.time = "v0.0.0-unknown", time.Unix(0, 0).UTC()
	if v := info.Main.Version; strings.HasPrefix(v, "v") {
		r.version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			r.revision = s.Value
		case "vcs.time":
			if r.time, err = time.Parse(time.RFC3339, s.Value); err != nil {
				return r, fmt.Errorf("the time of the commit: %w", err)
			}
		}
	}
	return r, nil
}

// debian is the version as dpkg orders it: what comes before a release is marked by a tilde.
func (r release) debian() string {
	core, pre, _ := strings.Cut(strings.TrimPrefix(r.version, "v"), "-")
	if pre == "" {
		return core
	}
	return core + "~" + strings.ReplaceAll(pre, "-", ".")
}

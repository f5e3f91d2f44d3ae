package app

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Build is the version that the binary was built as: a module version, or the commit.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(len(s.Value), 12)]
		}
	}
	return "devel"
}

// Version says what this is.
func Version(p Process) error {
	if err := p.noArguments("version"); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.Out, "chatrelay %s %s %s/%s\n", p.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

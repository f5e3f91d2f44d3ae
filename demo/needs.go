package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"chatrelay/test/chromium"
)

// projectRoot is the folder of go.mod, here or above.
func projectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("run it inside the project: no go.mod here or above")
		}
		dir = up
	}
}

// needed names everything that is missing, and how to get it.
func needed(root string, check bool) error {
	var missing []string
	want := func(pkg string, binaries ...string) {
		if _, err := findBinary(binaries...); err != nil {
			missing = append(missing, fmt.Sprintf("%s: apt-get install %s", binaries[0], pkg))
		}
	}
	want("mosquitto", "mosquitto")
	want("prosody", "prosody")
	if check {
		want("mosquitto-clients", "mosquitto_pub")
		want("chromium", chromium.Names()...)
	}
	for _, file := range append(slices.Collect(maps.Values(libraries)), "converse.js/dist/converse.min.js") {
		if _, err := os.Stat(modulePath(root, file)); err != nil {
			missing = append(missing, fmt.Sprintf("demo/node_modules/%s: npm ci, in demo/", file))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("missing; \"make demo\" brings all of it, or by hand:\n  %s", strings.Join(missing, "\n  "))
}

// findBinary also looks where Debian keeps daemons, which is not in every user's PATH.
func findBinary(names ...string) (string, error) {
	for _, name := range names {
		for _, try := range []string{name, filepath.Join("/usr/sbin", name)} {
			if path, err := exec.LookPath(try); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s: %w", names[0], exec.ErrNotFound)
}

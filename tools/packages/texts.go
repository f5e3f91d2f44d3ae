package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// text is a file beside the binary in a Debian package.
type text struct {
	name string // where it is installed
	body []byte
}

// makeTexts makes the texts that are not in the repository: those that the relay itself writes, and the licences of
// what is built into it.
func makeTexts(ctx context.Context, root string, programs []*program) (all []text, err error) {
	dir, err := os.MkdirTemp("", "chatrelay-texts-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	relay, err := runnable(ctx, root, dir, programs)
	if err != nil {
		return nil, err
	}
	for name, words := range map[string][]string{
		"/usr/share/man/man1/chatrelay.1.gz":                  {"man"},
		"/usr/share/bash-completion/completions/chatrelay":    {"completion", "bash"},
		"/usr/share/zsh/vendor-completions/_chatrelay":        {"completion", "zsh"},
		"/usr/share/fish/vendor_completions.d/chatrelay.fish": {"completion", "fish"},
	} {
		body, err := exec.CommandContext(ctx, relay, words...).Output()
		if err != nil {
			return nil, fmt.Errorf("chatrelay %s: %w", words, err)
		}
		all = append(all, text{name, body})
	}
	foreign, err := licences(ctx, root, programs[0])
	if err != nil {
		return nil, err
	}
	changes, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	all = append(all, text{"/usr/share/doc/chatrelay/licences.gz", foreign}, text{"/usr/share/doc/chatrelay/changelog.gz", changes})
	for i := range all {
		if strings.HasSuffix(all[i].name, ".gz") {
			if all[i].body, err = zipped(all[i].body); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// runnable is the relay for this machine.
func runnable(ctx context.Context, root, dir string, programs []*program) (string, error) {
	for _, p := range programs {
		if runtime.GOOS == "linux" && runtime.GOARCH == p.arch {
			return filepath.Abs(p.file)
		}
	}
	file := filepath.Join(dir, "chatrelay")
	return file, goBuild(ctx, root, file)
}

// licences are those of every module that the binary is made of.
func licences(ctx context.Context, root string, p *program) ([]byte, error) {
	args := []string{"list", "-m", "-f", "{{.Path}} {{.Version}}\t{{.Dir}}"}
	for _, m := range p.info.Deps {
		args = append(args, m.Path)
	}
	cmd := exec.CommandContext(ctx, goCommand(), args...)
	cmd.Dir = root
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	var out bytes.Buffer
	for line := range strings.Lines(string(list)) {
		module, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		found, err := filepath.Glob(filepath.Join(dir, "[LCNlcn][IOio][CPTcpt]*"))
		if err != nil {
			return nil, err
		}
		n := 0
		for _, file := range found {
			if !regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)[^/]*$`).MatchString(filepath.Base(file)) {
				continue
			}
			body, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&out, "==== %s: %s\n\n%s\n\n", module, filepath.Base(file), bytes.TrimSpace(body))
			n++
		}
		if n == 0 {
			return nil, fmt.Errorf("%s has no licence in its folder", module)
		}
	}
	return out.Bytes(), nil
}

// zipped is compressed, without a time or a name.
func zipped(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

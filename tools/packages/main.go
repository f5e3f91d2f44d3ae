package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	root := flag.String("root", "..", "folder of the repository")
	out := flag.String("out", "../dist", "folder for the packages; what it holds of an earlier run is replaced")
	archs := flag.String("arch", "amd64,arm64", "architectures, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := build(ctx, *root, *out, strings.Split(*archs, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}

// build makes everything anew in a folder.
func build(ctx context.Context, root, out string, archs []string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var all []*program
	for _, arch := range archs {
		p, err := compile(ctx, root, out, arch)
		if err != nil {
			return err
		}
		if len(all) > 0 && p.release != all[0].release {
			return fmt.Errorf("the repository has changed during the build: %s is %s, %s is %s", all[0].arch, all[0].release.version, arch, p.release.version)
		}
		all = append(all, p)
		if err := writeBillOfMaterials(p, p.file+".cdx.json"); err != nil {
			return err
		}
	}
	texts, err := makeTexts(ctx, root, all)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := writeDeb(root, out, p, texts); err != nil {
			return err
		}
	}
	if err := writeImages(root, filepath.Join(out, "chatrelay_"+all[0].release.debian()+"_oci.tar"), all); err != nil {
		return err
	}
	return writeSums(out)
}

// writeSums writes the checksums of all files, for sha256sum -c.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(b), e.Name())
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(lines.String()), 0o644)
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	port        int
	check       bool
	keepRunning bool
}

func main() {
	var o options
	flag.IntVar(&o.port, "port", 0, "port of the page on 127.0.0.1; 0: any free one")
	flag.BoolVar(&o.check, "check", false, "drive the page in headless Chromium, then stop")
	flag.BoolVar(&o.keepRunning, "keep", false, "keep the folder with configurations, logs and the relay's journal")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run sets the stage, shows or checks, and takes everything down again, whatever happened.
func run(ctx context.Context, o options) (err error) {
	root, err := projectRoot()
	if err != nil {
		return err
	}
	if err := needed(root, o.check); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "chatrelay-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if o.keepRunning {
			fmt.Println("kept      ", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	s, err := startAll(ctx, root, dir, o.port)
	defer func() { err = errors.Join(err, s.Close()) }()
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // Ctrl-C while it started
	case err != nil:
		return err
	case o.check:
		return check(ctx, s)
	}
	fmt.Printf("\n  Open %s\n  Ctrl-C stops everything.\n\n", s.page.URL())
	<-ctx.Done()
	fmt.Println("\nstopping")
	return nil
}

// line prints one thing that is done and how long it took.
func line(what, detail string, since time.Time) {
	fmt.Printf("%-10s %s (%.1f s)\n", what, detail, time.Since(since).Seconds())
}

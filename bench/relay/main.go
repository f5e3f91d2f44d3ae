// Command relay is chatrelay with a CPU profile of its life, written to the file that PROFILE names.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"

	"chatrelay/internal/app"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chatrelay:", err)
		os.Exit(1)
	}
}

func run() error {
	f, err := os.Create(os.Getenv("PROFILE"))
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	err = app.Run(app.Process{Environ: os.Environ(), Out: os.Stdout, Err: os.Stderr, Version: "bench"})
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

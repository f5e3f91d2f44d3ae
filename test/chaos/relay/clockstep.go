//go:build clockstep

package main

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// watchClock steps the wall clock of this process by as many seconds as the file CHAOS_CLOCK says, at each
// SIGUSR1. time.ChaosStep is put into the standard library by the build's overlay (see clock_test.go): the
// machine's own clock is everybody's.
func watchClock() {
	steps := make(chan os.Signal, 1)
	signal.Notify(steps, syscall.SIGUSR1)
	go func() { // for the life of the process
		for range steps {
			text, err := os.ReadFile(os.Getenv("CHAOS_CLOCK"))
			if err != nil {
				panic(err)
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			if err != nil {
				panic(err)
			}
			time.ChaosStep(n)
		}
	}()
}

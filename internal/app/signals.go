package app

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals: the first SIGTERM or SIGINT ends the context, the second closes force. Call release in the end.
func signals() (ctx context.Context, force <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	caught := make(chan os.Signal, 2) // the two that count
	signal.Notify(caught, syscall.SIGTERM, os.Interrupt)
	now, done := make(chan struct{}), make(chan struct{})
	finished := make(chan struct{})
	go func() { // ends with release
		defer close(finished)
		for _, act := range []func(){cancel, func() { close(now) }} {
			select {
			case <-caught:
				act()
			case <-done:
				return
			}
		}
	}()
	return ctx, now, func() {
		signal.Stop(caught)
		close(done)
		<-finished
		cancel()
	}
}

package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// part is something that runs for as long as the relay does.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// group is what runs together. Each stage is told to stop when the one before has ended, so that what a stage
// needs for its drain is still there: first the sides, then the bridge, last those who only watch.
type group struct {
	stages [][]part
	stopPolicy
}

// stopPolicy bounds a stop.
type stopPolicy struct {
	grace time.Duration   // from the wish to stop until all is let go of
	force <-chan struct{} // closed or sent to: let go at once
	fatal <-chan error    // brings an error after which nothing can be finished
}

// errForced: the relay ended without its farewells. Nothing that was acknowledged is lost by that: a start is
// always a recovery.
var errForced = errors.New("stopped before all was finished")

// run returns nil once everything has ended in order after ctx did. After the first failure it stops the
// rest in the same order and returns that failure. When it returns errForced or a fatal error, parts still run:
// the process must end then.
func (l *group) run(ctx context.Context) error {
	g, stop := errgroup.WithContext(ctx)
	first := stop
	for _, stage := range l.stages {
		stopping := stop // this stage's own, for those who run it
		ended, end := context.WithCancel(context.WithoutCancel(ctx))
		var wg sync.WaitGroup
		wg.Add(len(stage))
		for _, p := range stage {
			g.Go(func() error { defer wg.Done(); return p.until(stopping) })
		}
		g.Go(func() error { defer end(); wg.Wait(); return nil })
		stop = ended
	}
	done := make(chan error, 1)      // one result
	go func() { done <- g.Wait() }() // ends with the last part, or with the process
	return l.wait(first, done)
}

func (p *part) until(ctx context.Context) error {
	err := p.run(ctx)
	switch {
	case ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())):
		return nil
	case err == nil:
		return fmt.Errorf("%s: ended by itself", p.name)
	}
	return fmt.Errorf("%s: %w", p.name, err)
}

func (l *group) wait(stopping context.Context, done <-chan error) error {
	var late <-chan time.Time // nil until it stops: never
	begun := stopping.Done()
	for {
		select {
		case err := <-done:
			return err
		case err := <-l.fatal:
			return err
		case <-begun:
			begun = nil
			timer := time.NewTimer(l.grace)
			defer timer.Stop() // begun is nil now: this is reached once
			late = timer.C
		case <-l.force:
			return forced(stopping, "a second signal")
		case <-late:
			return forced(stopping, "after "+l.grace.String())
		}
	}
}

// forced keeps the failure that the stop began with, if there was one.
func forced(stopping context.Context, why string) error {
	err := fmt.Errorf("%s: %w", why, errForced)
	if cause := context.Cause(stopping); stopping.Err() != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return errors.Join(cause, err)
	}
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const pollEvery = 40 * time.Millisecond

// errFinal ends until at once: trying again cannot help.
type errFinal struct{ error }

func (e errFinal) Unwrap() error { return e.error }

// until tries until it works or ctx ends; then the last error says what was missing.
func until(ctx context.Context, try func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := try(ctx)
		var final errFinal
		if err == nil || errors.As(err, &final) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; at last: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
